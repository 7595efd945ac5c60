/**
 * The afternoon of docs/moving.md with the Java SDK: history at one service is saved, loaded into another, and the app goes on there.
 * Then the app is built on Sampan, takes over the cache that the Java SDK left, and meets the same messages.
 */
package dev.sampan.interop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import cn.leancloud.im.v2.SqliteCache;
import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.DisplayName;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class MovingTest {
  private static final int COUNT = 60;
  private static final int PAGE = 25;

  @TempDir private Path folder;

  @Test
  @DisplayName("D05 D06 an app with the Java SDK moves in an afternoon, and on Sampan it meets its history once, without gaps")
  void afternoon() throws Exception {
    ServiceProcess old = ServiceProcess.start(Files.createDirectory(folder.resolve("old")), folder.resolve("old-data"));
    Path phone = Files.createDirectory(folder.resolve("phone"));
    String cid;
    JSONArray before;
    try (JavaPeer ann = new JavaPeer(old, "ann", phone);
        JavaPeer ben = new JavaPeer(old, "ben", Files.createDirectory(folder.resolve("ben")))) {
      cid = ann.ask("start", Map.of("members", List.of("ben"), "name", "Tea")).getString("cid");
      for (int n = 0; n < COUNT; n++) (n % 2 == 0 ? ann : ben).ask("say", Map.of("cid", cid, "text", "n" + n));
      JSONObject wrong = ben.ask("say", Map.of("cid", cid, "text", "wrnog"));
      ben.ask("edit", Map.of("cid", cid, "id", wrong.getString("id"), "text", "right"));
      ann.ask("hears", Map.of("text", "wrnog"));
      before = ann.ask("history", Map.of("cid", cid, "page", PAGE)).getJSONArray("messages");
      assertEquals(COUNT + 1, before.size());
    }
    Path data = move(old);

    ServiceProcess there = ServiceProcess.start(Files.createDirectory(folder.resolve("there")), data);
    try (JavaPeer ann = new JavaPeer(there, "ann", phone);
        JavaPeer ben = new JavaPeer(there, "ben", folder.resolve("ben"))) {
      assertEquals(before, ann.ask("history", Map.of("cid", cid, "page", PAGE)).getJSONArray("messages"));
      JSONObject said = ann.ask("say", Map.of("cid", cid, "text", "here we are"));
      assertEquals(said.getString("id"), ben.ask("hears", Map.of("text", "here we are")).getString("id"));
    }

    try (SampanPeer ann = new SampanPeer(there, "ann")) {
      ann.ask("leave", Map.of());
      JSONObject report = ann.ask("import", Map.of("path", SqliteCache.file(phone, "ann").toString()));
      assertTrue(report.getIntValue("messages") > COUNT, report.toJSONString());
      ann.ask("return", Map.of());
      List<String> texts = new ArrayList<>();
      for (int index = 0; index < before.size(); index++) texts.add(before.getJSONObject(index).getString("text"));
      texts.add("here we are");
      ann.ask("shows", Map.of("cid", cid, "texts", texts));
    }
  }

  /** Saves everything that a service has, ends it, and returns a data folder into which all was loaded. */
  private Path move(ServiceProcess old) throws Exception {
    Path archive = folder.resolve("saved");
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(Sdk.PATIENCE_SECONDS);
    // The newest messages are left for the next run, so the crawl runs until all are saved.
    for (int saved = 0; saved < COUNT + 1 || !said("messages", archive.toString()).contains("right"); ) {
      assertTrue(System.nanoTime() < end, "only " + saved + " messages are saved");
      said("crawl", "--server", old.url(), "--app", ServiceProcess.APP_ID, "--archive", archive.toString(),
          "--settle", "0ms", "--days", "1", "--start-rate", "60000", "--max-rate", "60000", "--check", "100");
      saved = said("messages", archive.toString()).strip().split("\n").length;
    }
    old.kill();
    Path data = folder.resolve("new-data");
    Path left = folder.resolve("left.jsonl");
    said("load", "--archive", archive.toString(), "--data", data.toString(), "--app", ServiceProcess.APP_ID, "--report", left.toString());
    assertEquals("", Files.readString(left), "no row is left");
    return data;
  }

  /** Runs `sampan-migrate` to its end and returns what it says. */
  private String said(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(Path.of(ServiceProcess.binary()).resolveSibling("sampan-migrate").toString()));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    Path output = Files.createTempFile(folder, "said", ".txt");
    builder.environment().put("SAMPAN_MASTER_KEY", ServiceProcess.MASTER_KEY);
    Process process = builder.redirectError(ProcessBuilder.Redirect.INHERIT).redirectOutput(output.toFile()).start();
    assertTrue(process.waitFor(4 * Sdk.PATIENCE_SECONDS, TimeUnit.SECONDS), "sampan-migrate " + arguments[0] + " ends");
    assertEquals(0, process.exitValue(), "sampan-migrate " + arguments[0]);
    return Files.readString(output, StandardCharsets.UTF_8);
  }
}
