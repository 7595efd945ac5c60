/** A device with the official Java SDK in a process of its own, for the SDK has one service per process: `JavaDevice`. */
package dev.sampan.interop;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

final class JavaPeer extends Peer {
  /** Starts the process, with its cache in a folder, and logs `clientId` in on it. */
  JavaPeer(ServiceProcess service, String clientId, Path folder) throws Exception {
    super(command(folder), folder, service, clientId);
  }

  /** The same, logged in with the session of an account whose id is `clientId`. */
  JavaPeer(ServiceProcess service, String clientId, String session, Path folder) throws Exception {
    super(command(folder), folder, service, clientId, Map.of("session", session));
  }

  private static List<String> command(Path folder) {
    return List.of(java(), "-Dfile.encoding=UTF-8", "-cp", System.getProperty("java.class.path"), JavaDevice.class.getName(), folder.toString());
  }

  private static String java() {
    return Path.of(System.getProperty("java.home"), "bin", "java").toString();
  }
}
