// swift-tools-version: 6.2
//
// Sampan for Swift, from the sources of the repository. The code that UniFFI generates from the built library is
// compiled along and never committed: `cargo xtask bindings swift` puts it under target/.
//
// With SAMPAN_STUBS in the environment, the layer's parts for Apple's modules and the sample app are compiled too,
// against stubs of these modules: for machines that have none of them.

import PackageDescription

let stubs = Context.environment["SAMPAN_STUBS"] == nil ? [] : ["Combine", "Network", "SwiftUI", "UIKit", "os"]

let package = Package(
    name: "Sampan",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Sampan", targets: ["Sampan"])],
    targets: [
        // The C functions of the library, as the generated header declares them.
        .target(
            name: "SampanFFI",
            path: "target/SampanFFI",
            linkerSettings: [.linkedLibrary("sampan")]
        ),
        // The generated Swift. It is not ready for the Swift 6 language mode where an app
        // implements something asynchronous (`Signer`).
        .target(
            name: "SampanCore",
            dependencies: ["SampanFFI"],
            path: "target/SampanCore",
            swiftSettings: [.swiftLanguageMode(.v5)]
        ),
        // The code written by hand, which Swift expects and no generator gives.
        .target(
            name: "Sampan",
            dependencies: ["SampanCore"] + stubs.map { .target(name: $0) },
            swiftSettings: [.treatAllWarnings(as: .error)]
        ),
        .testTarget(
            name: "SampanTests",
            dependencies: ["Sampan"] + (stubs.isEmpty ? [] : ["Tea"]),
            swiftSettings: [.treatAllWarnings(as: .error)]
        ),
    ] + stubs.map { .target(name: $0, path: "Stubs/\($0)") }
        + (stubs.isEmpty ? [] : [sample])
)

/// The app of the README, for SwiftUI.
var sample: Target {
    .executableTarget(
        name: "Tea",
        dependencies: ["Sampan", "SwiftUI"],
        path: "Samples/Tea",
        swiftSettings: [.treatAllWarnings(as: .error)]
    )
}
