"""Writes archives as NSKeyedArchiver does, for the tests: python3 make.py. The files are committed."""
import datetime
import pathlib
import plistlib

UID = plistlib.UID


def archive(value):
    objects = ["$null"]

    def klass(*names):
        described = {"$classname": names[0], "$classes": list(names)}
        for at, known in enumerate(objects):
            if known == described:
                return UID(at)
        objects.append(described)
        return UID(len(objects) - 1)

    def put(value):
        at = len(objects)
        objects.append(None)
        if value is None:
            objects.pop()
            return UID(0)
        if isinstance(value, (str, bool, int, float)):
            objects[at] = value
        elif isinstance(value, datetime.datetime):
            seconds = (value - datetime.datetime(2001, 1, 1)).total_seconds()
            objects[at] = {"NS.time": seconds, "$class": klass("NSDate", "NSObject")}
        elif isinstance(value, list):
            objects[at] = {"NS.objects": [put(one) for one in value]}
            objects[at]["$class"] = klass("NSArray", "NSObject")
        else:
            keys = [put(key) for key in value]
            objects[at] = {"NS.keys": keys, "NS.objects": [put(one) for one in value.values()]}
            objects[at]["$class"] = klass("NSDictionary", "NSObject")
        return UID(at)

    top = {"root": put(value)}
    whole = {"$version": 100000, "$archiver": "NSKeyedArchiver", "$top": top, "$objects": objects}
    return plistlib.dumps(whole, fmt=plistlib.FMT_BINARY)


FILES = {
    "nobody": [],
    "ben-and-carl": ["ben", "carl"],
    "attributes": {"colour": "red", "level": 3, "ratio": 0.5, "open": True, "tags": ["a", "b"]},
    "row": {
        "objectId": "tea",
        "name": "Tea",
        "c": "ann",
        "m": ["ann", "ben"],
        "attr": {"colour": "blue"},
        "topic": "milk",
        "since": datetime.datetime(2020, 2, 29),
        "unique": True,
        "createdAt": "2020-01-01T00:00:00.000Z",
        "updatedAt": "2020-03-01T00:00:00.000Z",
    },
}

for name, value in FILES.items():
    (pathlib.Path(__file__).parent / f"{name}.plist").write_bytes(archive(value))
