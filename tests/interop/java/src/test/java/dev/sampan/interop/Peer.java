/** A device in a child process that is driven line by line: with the JavaScript SDK, or with Sampan. */
package dev.sampan.interop;

import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONObject;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

class Peer implements AutoCloseable {
  private final Process process;
  private final Writer input;
  private final BufferedReader output;

  /** Starts the program and logs `clientId` in on it. */
  Peer(List<String> command, ServiceProcess service, String clientId) throws Exception {
    this(command, Path.of("."), service, clientId);
  }

  /** Starts the program in a folder and logs `clientId` in on it. */
  Peer(List<String> command, Path folder, ServiceProcess service, String clientId) throws Exception {
    this(command, folder, service, clientId, Map.of());
  }

  /** The same, with more that the program needs for it. */
  Peer(List<String> command, Path folder, ServiceProcess service, String clientId, Map<String, Object> more) throws Exception {
    process = new ProcessBuilder(command).directory(folder.toFile()).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    input = process.outputWriter(StandardCharsets.UTF_8);
    output = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8));
    Map<String, Object> details = new HashMap<>(more);
    details.putAll(Map.of("url", service.url(), "appId", ServiceProcess.APP_ID, "appKey", ServiceProcess.APP_KEY, "clientId", clientId));
    try {
      ask("login", details);
    } catch (Exception failure) {
      process.destroy();
      throw failure;
    }
  }

  /** Has the peer do something and returns its answer. Fails with what the peer failed with. */
  JSONObject ask(String what, Map<String, Object> details) throws Exception {
    JSONObject request = new JSONObject(new HashMap<>(details)).fluentPut("do", what);
    input.write(request.toJSONString() + "\n");
    input.flush();
    CompletableFuture<String> line = CompletableFuture.supplyAsync(this::readLine);
    String answer = line.get(2 * Sdk.PATIENCE_SECONDS, TimeUnit.SECONDS);
    if (answer == null) throw new IllegalStateException("the peer ended");
    JSONObject fields = JSON.parseObject(answer);
    if (fields.containsKey("error")) throw new IllegalStateException("the peer failed to " + what + ": " + fields.getString("error"));
    return fields;
  }

  private String readLine() {
    try {
      return output.readLine();
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  @Override
  public void close() throws InterruptedException {
    process.destroy();
    process.waitFor(Sdk.PATIENCE_SECONDS, TimeUnit.SECONDS);
  }
}
