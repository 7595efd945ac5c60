// As much of Combine as the layer names, for compiling it where there is none. An app never sees it.

/// An object that says when it changes. The stub says nothing.
public protocol ObservableObject: AnyObject {}

@propertyWrapper public struct Published<Value> {
    public var wrappedValue: Value

    public init(wrappedValue: Value) {
        self.wrappedValue = wrappedValue
    }
}
