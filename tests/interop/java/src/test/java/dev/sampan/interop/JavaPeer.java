/** A device with the official Java SDK in a process of its own, for the SDK has one service per process: `JavaDevice`. */
package dev.sampan.interop;

import java.nio.file.Path;
import java.util.List;

final class JavaPeer extends Peer {
  /** Starts the process, with its cache in a folder, and logs `clientId` in on it. */
  JavaPeer(ServiceProcess service, String clientId, Path folder) throws Exception {
    super(List.of(java(), "-Dfile.encoding=UTF-8", "-cp", System.getProperty("java.class.path"), JavaDevice.class.getName(), folder.toString()), folder, service, clientId);
  }

  private static String java() {
    return Path.of(System.getProperty("java.home"), "bin", "java").toString();
  }
}
