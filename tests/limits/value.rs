//! Computes constants as far as limits need it: whole numbers, spans of time, sums and products.

use std::collections::BTreeMap;
use syn::{BinOp, Expr, Lit};

/// The value of a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(i128),
    Millis(i128),
    /// The largest value of a type, such as `u32::MAX`.
    Unlimited,
}

/// The constants of all sources, to compute those that name others.
#[derive(Default)]
pub(crate) struct Constants {
    by_file: BTreeMap<(String, String), Expr>,
    by_name: BTreeMap<String, Vec<(String, Expr)>>,
}

impl Constants {
    pub(crate) fn learn(&mut self, file: &str, name: &str, value: &Expr) {
        self.by_file
            .insert((file.to_owned(), name.to_owned()), value.clone());
        self.by_name
            .entry(name.to_owned())
            .or_default()
            .push((file.to_owned(), value.clone()));
    }

    /// The constant that `name` means in `file`: its own, or the only one of that name anywhere.
    fn find(&self, file: &str, name: &str) -> Option<(&str, &Expr)> {
        let own = (file.to_owned(), name.to_owned());
        if let Some(((file, _), value)) = self.by_file.get_key_value(&own) {
            return Some((file, value));
        }
        match self.by_name.get(name)?.as_slice() {
            [(file, value)] => Some((file, value)),
            _ => None,
        }
    }
}

/// The value of an expression that stands in `file`, if it can be computed.
pub(crate) fn evaluate(value: &Expr, file: &str, constants: &Constants) -> Option<Value> {
    match value {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Int(number) => number.base10_parse().ok().map(Value::Number),
            _ => None,
        },
        Expr::Paren(inner) => evaluate(&inner.expr, file, constants),
        Expr::Cast(cast) => evaluate(&cast.expr, file, constants),
        Expr::Unary(negative) if matches!(negative.op, syn::UnOp::Neg(_)) => {
            match evaluate(&negative.expr, file, constants)? {
                Value::Number(number) => Some(Value::Number(-number)),
                _ => None,
            }
        }
        Expr::Binary(two) => {
            let left = evaluate(&two.left, file, constants)?;
            let right = evaluate(&two.right, file, constants)?;
            calculate(&two.op, &left, &right)
        }
        Expr::Path(path) => named(&path.path, file, constants),
        Expr::Call(call) => called(call, file, constants),
        _ => None,
    }
}

fn calculate(sign: &BinOp, left: &Value, right: &Value) -> Option<Value> {
    let (Value::Number(left), Value::Number(right)) = (left, right) else {
        return None;
    };
    let sum = match sign {
        BinOp::Add(_) => left.checked_add(*right),
        BinOp::Sub(_) => left.checked_sub(*right),
        BinOp::Mul(_) => left.checked_mul(*right),
        BinOp::Div(_) => left.checked_div(*right),
        BinOp::Shl(_) => u32::try_from(*right)
            .ok()
            .and_then(|by| left.checked_shl(by)),
        _ => None,
    };
    sum.map(Value::Number)
}

fn named(path: &syn::Path, file: &str, constants: &Constants) -> Option<Value> {
    let names: Vec<String> = path
        .segments
        .iter()
        .map(|one| one.ident.to_string())
        .collect();
    let name = names.last()?;
    let of = names.len().checked_sub(2).and_then(|at| names.get(at));
    if name == "MAX" && of.is_some_and(|of| of.starts_with(['u', 'i'])) {
        return Some(Value::Unlimited);
    }
    let (file, value) = constants.find(file, name)?;
    evaluate(value, file, constants)
}

/// The value of `Duration::from_…(n)` or of `Some(n)`.
fn called(call: &syn::ExprCall, file: &str, constants: &Constants) -> Option<Value> {
    let Expr::Path(function) = &*call.func else {
        return None;
    };
    let argument = evaluate(call.args.first()?, file, constants)?;
    let name = function.path.segments.last()?.ident.to_string();
    let millis = match name.as_str() {
        "Some" => return Some(argument),
        "from_millis" => 1,
        "from_secs" => 1_000,
        "from_mins" => 60_000,
        "from_hours" => 3_600_000,
        _ => return None,
    };
    match argument {
        Value::Number(number) => number.checked_mul(millis).map(Value::Millis),
        _ => None,
    }
}

/// A value as people read it. `name` tells whether a number counts bytes.
pub(crate) fn shown(name: &str, value: &Value) -> String {
    let counts = |unit: &str| name.split('_').any(|part| part.eq_ignore_ascii_case(unit));
    match value {
        Value::Unlimited => "none".to_owned(),
        Value::Millis(millis) => span(*millis),
        Value::Number(number) if counts("bytes") => bytes(*number),
        Value::Number(number) if counts("secs") => span(number.saturating_mul(1_000)),
        Value::Number(number) if counts("ms") || counts("millis") => span(*number),
        Value::Number(number) => grouped(*number),
    }
}

fn span(millis: i128) -> String {
    if millis % 1_000 != 0 || millis == 0 {
        return format!("{} ms", grouped(millis));
    }
    let seconds = millis / 1_000;
    for (unit, length) in [("days", 86_400), ("h", 3_600), ("min", 60)] {
        if seconds % length == 0 && seconds / length >= 2 {
            return format!("{} {unit}", grouped(seconds / length));
        }
    }
    format!("{} s", grouped(seconds))
}

fn bytes(count: i128) -> String {
    for (unit, length) in [("MiB", 1_048_576), ("KiB", 1_024)] {
        if count % length == 0 && count != 0 {
            return format!("{} {unit}", grouped(count / length));
        }
    }
    format!("{} bytes", grouped(count))
}

/// A number with a comma at each thousand.
fn grouped(number: i128) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Value> {
        let mut constants = Constants::default();
        let other: Expr = syn::parse_str("3").unwrap();
        constants.learn("src/b.rs", "OTHER_MAX", &other);
        evaluate(&syn::parse_str(text).unwrap(), "src/a.rs", &constants)
    }

    #[test]
    fn sums_products_and_other_constants_are_computed() {
        assert_eq!(of("4 * (1024 + 1)"), Some(Value::Number(4_100)));
        assert_eq!(of("1 << 20"), Some(Value::Number(1_048_576)));
        assert_eq!(
            of("2 * crate::b::OTHER_MAX as usize"),
            Some(Value::Number(6))
        );
        assert_eq!(of("u32::MAX"), Some(Value::Unlimited));
        assert_eq!(of("Duration::from_secs(2)"), Some(Value::Millis(2_000)));
        assert_eq!(of("b\"text\""), None);
    }

    #[test]
    fn values_are_shown_with_their_units() {
        assert_eq!(shown("BODY_BYTES_MAX", &Value::Number(65_536)), "64 KiB");
        assert_eq!(shown("BODY_BYTES_MAX", &Value::Number(100)), "100 bytes");
        assert_eq!(shown("ROUND_MAX", &Value::Number(10_000)), "10,000");
        assert_eq!(shown("PAUSE_MAX", &Value::Millis(120_000)), "2 min");
        assert_eq!(shown("PAUSE_MAX", &Value::Millis(60_000)), "60 s");
        assert_eq!(shown("PAUSE_MAX", &Value::Millis(1_500)), "1,500 ms");
        assert_eq!(shown("ttl_secs", &Value::Number(172_800)), "2 days");
        assert_eq!(shown("TRIES_MAX", &Value::Unlimited), "none");
    }
}
