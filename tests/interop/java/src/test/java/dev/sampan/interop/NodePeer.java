/** A device with the official JavaScript SDK: `tests/interop/js/peer.mjs`. */
package dev.sampan.interop;

import java.util.List;

final class NodePeer extends Peer {
  /** Starts the process and logs `clientId` in on it. */
  NodePeer(ServiceProcess service, String clientId) throws Exception {
    super(List.of("node", script()), service, clientId);
  }

  private static String script() {
    return ServiceProcess.repository().resolve("tests/interop/js/peer.mjs").toString();
  }
}
