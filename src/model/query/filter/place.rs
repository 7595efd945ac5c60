//! Places on the earth in conditions: near a point, or within a box.

use serde_json::{Map, Value};

/// The mean radius of the earth, by which distances become angles.
const EARTH_KILOMETERS: f64 = 6371.0;
const EARTH_MILES: f64 = 3958.8;

/// The operators beside `$nearSphere` that bound the distance, each with the length of a radian; the second four bound it
/// from below.
const BOUNDS: [(&str, f64); 8] = [
    ("$maxDistance", 1.0),
    ("$maxDistanceInRadians", 1.0),
    ("$maxDistanceInKilometers", EARTH_KILOMETERS),
    ("$maxDistanceInMiles", EARTH_MILES),
    ("$minDistance", 1.0),
    ("$minDistanceInRadians", 1.0),
    ("$minDistanceInKilometers", EARTH_KILOMETERS),
    ("$minDistanceInMiles", EARTH_MILES),
];

/// An operator whose value is none of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoPlace {
    pub(super) operator: &'static str,
    pub(super) wanted: &'static str,
}

/// A point, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    latitude: f64,
    longitude: f64,
}

/// A part of the earth.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Region {
    /// From an angle around a point up to another, in radians.
    Around { center: Point, from: f64, to: f64 },
    /// From a corner in the south-west to one in the north-east; it may cross the date line.
    Box { southwest: Point, northeast: Point },
}

/// True for an operator that bounds the distance of the `$nearSphere` beside it.
pub(super) fn is_bound(operator: &str) -> bool {
    BOUNDS.iter().any(|(name, _)| *name == operator)
}

impl Region {
    /// Reads `$nearSphere`, with the bounds among the operators beside it: of several the narrowest hold.
    pub(super) fn near(center: &Value, operators: &Map<String, Value>) -> Result<Self, NoPlace> {
        let (mut from, mut to) = (0.0_f64, f64::INFINITY);
        for (operator, length) in BOUNDS {
            let Some(value) = operators.get(operator) else {
                continue;
            };
            let distance = value.as_f64().filter(|it| it.is_finite() && *it >= 0.0);
            let distance = distance.ok_or(NoPlace {
                operator,
                wanted: "a number from 0",
            })?;
            let angle = distance / length;
            match operator.starts_with("$min") {
                true => from = from.max(angle),
                false => to = to.min(angle),
            }
        }
        let center = Point::parse("$nearSphere", center)?;
        Ok(Self::Around { center, from, to })
    }

    /// Reads the value of `$within`.
    pub(super) fn within(value: &Value) -> Result<Self, NoPlace> {
        let corners = value.get("$box").and_then(Value::as_array);
        match corners.map(Vec::as_slice) {
            Some([southwest, northeast]) => Ok(Self::Box {
                southwest: Point::parse("$box", southwest)?,
                northeast: Point::parse("$box", northeast)?,
            }),
            _ => Err(NoPlace {
                operator: "$within",
                wanted: "a $box of two points",
            }),
        }
    }

    /// True if a stored value is a point in the region.
    pub(super) fn holds(&self, stored: &Value) -> bool {
        let Some(point) = Point::read(stored) else {
            return false;
        };
        match self {
            Self::Around { center, from, to } => (*from..=*to).contains(&center.angle_to(point)),
            Self::Box {
                southwest,
                northeast,
            } => {
                let (west, east) = (southwest.longitude, northeast.longitude);
                let is_between = match west <= east {
                    true => (west..=east).contains(&point.longitude),
                    false => point.longitude >= west || point.longitude <= east,
                };
                is_between && (southwest.latitude..=northeast.latitude).contains(&point.latitude)
            }
        }
    }
}

impl Point {
    fn parse(operator: &'static str, value: &Value) -> Result<Self, NoPlace> {
        Self::read(value).ok_or(NoPlace {
            operator,
            wanted: "a GeoPoint with latitude and longitude in degrees",
        })
    }

    /// The point of `{"__type": "GeoPoint", "latitude": …, "longitude": …}`.
    fn read(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let is_point = object.get("__type").and_then(Value::as_str) == Some("GeoPoint");
        let degrees = |key: &str, most: f64| {
            let degrees = object.get(key).and_then(Value::as_f64)?;
            (-most..=most).contains(&degrees).then_some(degrees)
        };
        let (latitude, longitude) = (degrees("latitude", 90.0)?, degrees("longitude", 180.0)?);
        is_point.then_some(Self {
            latitude,
            longitude,
        })
    }

    /// The angle between two points, seen from the middle of the earth, in radians.
    fn angle_to(self, other: Self) -> f64 {
        let half = |one: f64, other: f64| ((other - one).to_radians() / 2.0).sin().powi(2);
        let (here, there) = (self.latitude.to_radians(), other.latitude.to_radians());
        let apart = half(self.latitude, other.latitude)
            + here.cos() * there.cos() * half(self.longitude, other.longitude);
        2.0 * apart.clamp(0.0, 1.0).sqrt().asin()
    }
}
