/**
 * The official Java SDK, pointed at a service on loopback. It has one connection per process, so all tests of this project
 * share one service, one connection and any number of client ids; a second device is another process (`NodePeer`).
 */
package dev.sampan.interop;

import cn.leancloud.AVException;
import cn.leancloud.AVLogger;
import cn.leancloud.callback.AVCallback;
import cn.leancloud.core.AVOSCloud;
import cn.leancloud.core.AVOSService;
import cn.leancloud.im.AVIMOptions;
import cn.leancloud.im.v2.AVIMClient;
import cn.leancloud.im.v2.AVIMMessageManager;
import cn.leancloud.session.AVConnectionManager;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

final class Sdk {
  /** The longest that anything may take on a slow and busy machine, in seconds. */
  static final long PATIENCE_SECONDS = 30;

  private static final String RUN = Long.toString(System.currentTimeMillis(), 36);
  private static final AtomicInteger SERIAL = new AtomicInteger();
  private static Sdk shared;

  final ServiceProcess service;
  final Events events = new Events();

  private Sdk(ServiceProcess service) {
    this.service = service;
  }

  /** The SDK, initialised and connected once for all tests. */
  static synchronized Sdk shared() throws Exception {
    if (shared == null) {
      ServiceProcess service = ServiceProcess.start();
      shared = new Sdk(service).prepared(service.url());
    }
    return shared;
  }

  /** The SDK of this process, for a service that another process started. */
  static Sdk at(String url) throws Exception {
    return new Sdk(null).prepared(url);
  }

  private Sdk prepared(String url) throws Exception {
    initialise(url);
    connect();
    return this;
  }

  private void initialise(String url) {
    AVOSCloud.setLogLevel(System.getenv("SAMPAN_LOG") == null ? AVLogger.Level.OFF : AVLogger.Level.DEBUG);
    for (AVOSService module : AVOSService.values()) AVOSCloud.setServer(module, url);
    AVOSCloud.initialize(ServiceProcess.APP_ID, ServiceProcess.APP_KEY);
    AVIMOptions.getGlobalOptions().setUnreadNotificationEnabled(true);
    AVIMOptions.getGlobalOptions().setMessageQueryCacheEnabled(false);
    AVIMMessageManager.registerDefaultMessageHandler(events.messages());
    AVIMMessageManager.setConversationEventHandler(events.conversations());
    AVIMClient.setClientEventHandler(events.clients());
  }

  /** Connects, or reports at once that the connection stands. */
  void connect() throws Exception {
    CompletableFuture<Void> connected = new CompletableFuture<>();
    AVConnectionManager.getInstance().startConnection(new AVCallback<Void>() {
      @Override
      protected void internalDone0(Void nothing, AVException error) {
        settle(connected, null, error);
      }
    });
    await("the connection", connected);
  }

  /** Cuts the connection, as a lost network would. */
  void disconnect() {
    AVConnectionManager.getInstance().resetConnection();
  }

  /** A name that no other test uses, nor an earlier run: the SDK keeps sessions and answers on disk. */
  static String name(String base) {
    return base + "-" + RUN + "-" + SERIAL.incrementAndGet();
  }

  /** Logs in under this name. */
  Person login(String clientId) throws Exception {
    return new Person(this, AVIMClient.getInstance(clientId)).open();
  }

  /** Runs a call that answers through the given future, and waits for its answer. */
  static <T> T call(String what, Consumer<CompletableFuture<T>> body) throws Exception {
    CompletableFuture<T> answer = new CompletableFuture<>();
    body.accept(answer);
    return await(what, answer);
  }

  static <T> T await(String what, CompletableFuture<T> answer) throws Exception {
    try {
      return answer.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException failure) {
      if (failure.getCause() instanceof Exception cause) throw cause;
      throw failure;
    } catch (java.util.concurrent.TimeoutException late) {
      throw new AssertionError("waited in vain: " + what, late);
    }
  }

  static <T> void settle(CompletableFuture<T> answer, T value, AVException error) {
    if (error == null) answer.complete(value);
    else answer.completeExceptionally(error);
  }
}
