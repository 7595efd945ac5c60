/** A device with Sampan: `examples/peer.rs`, as the build leaves it beside the service. */
package dev.sampan.interop;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

final class SampanPeer extends Peer {
  /** Starts the process and logs `clientId` in on it. */
  SampanPeer(ServiceProcess service, String clientId) throws Exception {
    super(List.of(binary()), service, clientId);
  }

  /** The program that `cargo build --workspace --examples` leaves. */
  private static String binary() {
    Path built = Path.of(ServiceProcess.binary()).resolveSibling("examples").resolve("peer");
    if (Files.exists(built)) return built.toString();
    throw new IllegalStateException("no peer at " + built + ": run `cargo build --example peer`");
  }
}
