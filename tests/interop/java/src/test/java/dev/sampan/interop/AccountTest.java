/** Logging in with the session of an account: the app's own server, a double in this JVM, says whose session it is. */
package dev.sampan.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONObject;
import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class AccountTest {
  private static final String SESSION_OF = "session of ";
  private static HttpServer server;
  private static ServiceProcess service;

  @BeforeAll
  static void start(@TempDir Path folder) throws Exception {
    server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext("/hooks/_rtmClientSign", exchange -> {
      String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      String session = JSON.parseObject(body).getString("sessionToken");
      JSONObject says = new JSONObject();
      if (session.startsWith(SESSION_OF)) says.fluentPut("clientId", session.substring(SESSION_OF.length()));
      byte[] answer = new JSONObject().fluentPut("result", says).toJSONString().getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(200, answer.length);
      exchange.getResponseBody().write(answer);
      exchange.close();
    });
    server.start();
    String url = "http://127.0.0.1:" + server.getAddress().getPort() + "/hooks";
    JSONObject settings = new JSONObject()
        .fluentPut("signatures", Map.of("login", true))
        .fluentPut("hooks", Map.of("url", url, "functions", List.of("_rtmClientSign")));
    service = ServiceProcess.start(Files.createTempDirectory("sampan-accounts-"), settings);
  }

  @AfterAll
  static void stop() {
    server.stop(0);
  }

  @Test
  @DisplayName("a Java device logs in with the session of an account, and with no other session")
  void account(@TempDir Path folder) throws Exception {
    String alice = Sdk.name("alice");
    String bob = Sdk.name("bob");
    try (JavaPeer hers = new JavaPeer(service, alice, SESSION_OF + alice, Files.createDirectory(folder.resolve("hers")));
        JavaPeer his = new JavaPeer(service, bob, SESSION_OF + bob, Files.createDirectory(folder.resolve("his")))) {
      String cid = hers.ask("start", Map.of("members", List.of(bob), "name", "accounts")).getString("cid");
      hers.ask("say", Map.of("cid", cid, "text", "signed in"));
      assertEquals(alice, his.ask("hears", Map.of("text", "signed in")).getString("from"));
    }
    // The SDK tells nobody of a session that the service does not know: the one of another account is refused with 4102.
    Path eves = Files.createDirectory(folder.resolve("eves"));
    Exception refusal = assertThrows(IllegalStateException.class, () -> new JavaPeer(service, Sdk.name("eve"), SESSION_OF + alice, eves).close());
    assertTrue(refusal.getMessage().contains("4102") || refusal.getMessage().contains("SIGNATURE_FAILED"), refusal.getMessage());
  }
}
