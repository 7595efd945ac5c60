//! What is on the wire: protobuf frames and JSON payloads, to and from plain data.
