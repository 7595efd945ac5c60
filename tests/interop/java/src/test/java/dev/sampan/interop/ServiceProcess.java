/** A `sampan-service` process with a data folder of its own, restarted or killed at will. */
package dev.sampan.interop;

import com.alibaba.fastjson.JSONObject;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

final class ServiceProcess {
  static final String APP_ID = "interop-app-0123456789ab";
  static final String APP_KEY = "interop-key";
  static final String MASTER_KEY = "interop-master";
  private static final Pattern LISTENING = Pattern.compile("listening on http://127\\.0\\.0\\.1:(\\d+)");

  private final Path folder;
  private final Path data;
  private String settings;
  private int port;
  private Process process;

  private ServiceProcess(Path folder, Path data) {
    this.folder = folder;
    this.data = data;
  }

  /** Starts a service on a free port. It ends with this JVM. */
  static ServiceProcess start() throws Exception {
    Path folder = Files.createTempDirectory("sampan-interop-");
    return start(folder, folder.resolve("data"));
  }

  /** Starts a service on a free port that goes on with a data folder. It ends with this JVM. */
  static ServiceProcess start(Path folder, Path data) throws Exception {
    ServiceProcess service = new ServiceProcess(folder, data);
    Runtime.getRuntime().addShutdownHook(new Thread(service::discard));
    service.startAgain();
    return service;
  }

  /** Starts a service whose app has these settings. It ends with this JVM. */
  static ServiceProcess start(Path folder, JSONObject settings) throws Exception {
    ServiceProcess service = new ServiceProcess(folder, folder.resolve("data"));
    Path file = folder.resolve("settings.json");
    Files.writeString(file, new JSONObject().fluentPut(APP_ID, settings).toJSONString());
    service.settings = file.toString();
    Runtime.getRuntime().addShutdownHook(new Thread(service::discard));
    service.startAgain();
    return service;
  }

  String url() {
    return "http://127.0.0.1:" + port;
  }

  /** Starts the process again, on the same port and with the same data. */
  void startAgain() throws Exception {
    List<String> command = new ArrayList<>(List.of(
        binary(), "--listen", "127.0.0.1:" + port, "--data", data.toString(),
        "--app", APP_ID + ":" + APP_KEY + ":" + MASTER_KEY));
    if (settings != null) command.addAll(List.of("--settings", settings));
    File log = folder.resolve("service.log").toFile();
    process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.appendTo(log)).start();
    CompletableFuture<Integer> listening = new CompletableFuture<>();
    Thread reader = new Thread(() -> readAddress(process, listening), "service output");
    reader.setDaemon(true);
    reader.start();
    port = listening.get(30, TimeUnit.SECONDS);
  }

  /** Ends the process as a crash would. */
  void kill() throws InterruptedException {
    process.destroyForcibly().waitFor(15, TimeUnit.SECONDS);
  }

  private void discard() {
    process.destroyForcibly();
  }

  /** The path of the binary: `SAMPAN_SERVICE_BIN`, or the one that `cargo build -p sampan-service` leaves. */
  static String binary() {
    String named = System.getenv("SAMPAN_SERVICE_BIN");
    if (named != null) return named;
    String target = System.getenv("CARGO_TARGET_DIR");
    Path folder = target != null ? Path.of(target) : repository().resolve("target");
    Path built = folder.resolve("debug").resolve("sampan-service");
    if (Files.exists(built)) return built.toString();
    throw new IllegalStateException("no service at " + built + ": run `cargo build -p sampan-service` or set SAMPAN_SERVICE_BIN");
  }

  /** The root of the repository: this project stands three folders below it. */
  static Path repository() {
    return Path.of(System.getProperty("interop.basedir")).resolve("../../..").normalize();
  }

  private static void readAddress(Process process, CompletableFuture<Integer> listening) {
    try (BufferedReader output = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = output.readLine(); line != null; line = output.readLine()) {
        Matcher address = LISTENING.matcher(line);
        if (address.find()) listening.complete(Integer.valueOf(address.group(1)));
      }
      listening.completeExceptionally(new IllegalStateException("the service ended before it listened"));
    } catch (IOException error) {
      listening.completeExceptionally(error);
    }
  }
}
