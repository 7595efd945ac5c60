// As much of SwiftUI as the sample app names, for compiling it where there is none. It draws nothing, and an
// app never sees it.

@_exported import Foundation
@_exported import Observation

@MainActor public protocol App {
    associatedtype Body: Scene

    init()

    @SceneBuilder var body: Body { get }
}

extension App {
    /// A stub of an app has nothing to run.
    public static func main() {}
}

@MainActor public protocol Scene {}

@resultBuilder public enum SceneBuilder {
    public static func buildBlock<Content: Scene>(_ content: Content) -> Content { content }
}

public struct WindowGroup<Content: View>: Scene {
    public init(@ViewBuilder content: () -> Content) {}
}

@MainActor public protocol View {
    associatedtype Body: View

    @ViewBuilder var body: Body { get }
}

extension Never: View {
    public var body: Never { return fatalError("a stub has no body") }
}

/// A view that stands for every built-in one.
public struct Drawn: View {
    public typealias Body = Never

    nonisolated init() {}

    public var body: Never { return fatalError("a stub has no body") }
}

public struct Either<First: View, Second: View>: View {
    public var body: Never { return fatalError("a stub has no body") }
}

extension Optional: View where Wrapped: View {
    public var body: Never { return fatalError("a stub has no body") }
}

@resultBuilder @MainActor public enum ViewBuilder {
    public static func buildExpression<Content: View>(_ content: Content) -> Content { content }

    public static func buildBlock() -> Drawn { Drawn() }

    public static func buildBlock<each Content: View>(_ content: repeat each Content) -> Drawn { Drawn() }

    public static func buildIf<Content: View>(_ content: Content?) -> Content? { content }

    public static func buildEither<First: View, Second: View>(first: First) -> Either<First, Second> { Either() }

    public static func buildEither<First: View, Second: View>(second: Second) -> Either<First, Second> { Either() }
}

@propertyWrapper public struct State<Value> {
    private final class Place {
        var value: Value

        init(_ value: Value) { self.value = value }
    }

    private let place: Place

    public init(wrappedValue: Value) { place = Place(wrappedValue) }

    public var wrappedValue: Value {
        get { place.value }
        nonmutating set { place.value = newValue }
    }

    public var projectedValue: Binding<Value> {
        let place = place
        return Binding(get: { place.value }, set: { place.value = $0 })
    }
}

@propertyWrapper @dynamicMemberLookup public struct Binding<Value> {
    private let get: () -> Value
    private let set: (Value) -> Void

    public init(get: @escaping () -> Value, set: @escaping (Value) -> Void) {
        self.get = get
        self.set = set
    }

    public var wrappedValue: Value {
        get { get() }
        nonmutating set { set(newValue) }
    }

    public subscript<Part>(dynamicMember path: WritableKeyPath<Value, Part>) -> Binding<Part> {
        Binding<Part>(
            get: { self.get()[keyPath: path] },
            set: { part in
                var value = self.get()
                value[keyPath: path] = part
                self.set(value)
            })
    }
}

public func NavigationStack(@ViewBuilder _ content: () -> some View) -> some View { Drawn() }

public func NavigationLink(value: some Hashable, @ViewBuilder _ label: () -> some View) -> some View { Drawn() }

public func List<Item: Identifiable>(
    _ items: [Item], @ViewBuilder _ row: @escaping (Item) -> some View
) -> some View { Drawn() }

public func ForEach<Item: Identifiable>(
    _ items: [Item], @ViewBuilder _ row: @escaping (Item) -> some View
) -> some View { Drawn() }

public func ScrollView(@ViewBuilder _ content: () -> some View) -> some View { Drawn() }

public func LazyVStack(@ViewBuilder _ content: () -> some View) -> some View { Drawn() }

public func HStack(@ViewBuilder _ content: () -> some View) -> some View { Drawn() }

public func ProgressView() -> some View { Drawn() }

public func Text(_ text: String) -> some View { Drawn() }

public func TextField(_ title: String, text: Binding<String>) -> some View { Drawn() }

public func Button(_ title: String, action: @escaping @MainActor () -> Void) -> some View { Drawn() }

public enum VerticalEdge { case top, bottom }

extension View {
    public func badge(_ count: Int) -> some View { Drawn() }

    public func disabled(_ disabled: Bool) -> some View { Drawn() }

    public func navigationDestination<Value: Hashable>(
        for type: Value.Type, @ViewBuilder destination: @escaping (Value) -> some View
    ) -> some View { Drawn() }

    public func navigationTitle(_ title: String) -> some View { Drawn() }

    public func onAppear(perform action: @escaping @MainActor () -> Void) -> some View { Drawn() }

    public func onChange<Value: Equatable>(
        of value: Value, _ action: @escaping @MainActor () -> Void
    ) -> some View { Drawn() }

    public func onScrollTargetVisibilityChange<Id: Hashable>(
        idType: Id.Type, _ action: @escaping @MainActor ([Id]) -> Void
    ) -> some View { Drawn() }

    public func safeAreaInset(edge: VerticalEdge, @ViewBuilder content: () -> some View) -> some View { Drawn() }

    public func scrollPosition<Id: Hashable>(id: Binding<Id?>) -> some View { Drawn() }

    public func scrollTargetLayout() -> some View { Drawn() }

    public func swipeActions(@ViewBuilder content: () -> some View) -> some View { Drawn() }

    public func task(_ action: @escaping @MainActor () async -> Void) -> some View { Drawn() }
}
