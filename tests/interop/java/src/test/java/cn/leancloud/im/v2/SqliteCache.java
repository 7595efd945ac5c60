/**
 * The database under the Java SDK's message cache, as Android has it: the file and the tables are those of the SDK's versions with
 * schema 10. The SDK decides what is written; this class carries it into SQLite. It stands in the SDK's package because the fields of
 * a query's result are visible there alone.
 */
package cn.leancloud.im.v2;

import cn.leancloud.im.DatabaseDelegate;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public final class SqliteCache implements DatabaseDelegate {
  private static final String MESSAGES =
      "CREATE TABLE IF NOT EXISTS messages (conversation_id VARCHAR(32) NOT NULL, message_id VARCHAR(32) NOT NULL, timestamp NUMBERIC, "
          + "from_peer_id TEXT NOT NULL, receipt_timestamp NUMBERIC, readAt NUMBERIC, updateAt NUMBERIC, payload BLOB, status INTEGER, "
          + "breakpoint INTEGER, dtoken VARCHAR(32), mentionAll INTEGER DEFAULT 0, mentionList TEXT NULL, iType INTEGER DEFAULT 0, "
          + "PRIMARY KEY (conversation_id, message_id))";
  private static final String INDEX =
      "CREATE UNIQUE INDEX IF NOT EXISTS message_index ON messages (conversation_id, timestamp, message_id)";
  private static final String CONVERSATIONS =
      "CREATE TABLE IF NOT EXISTS conversations (conversation_id VARCHAR(32) NOT NULL, expireAt NUMBERIC, attr BLOB, instanceData BLOB, "
          + "updatedAt VARCHAR(32), createdAt VARCHAR(32), creator TEXT, members TEXT, isTransient INTEGER, unread_count INTEGER, "
          + "readAt NUMBERIC, deliveredAt NUMBERIC, lm NUMBERIC, last_message TEXT, mentioned INTEGER, last_msg_iType INTEGER, "
          + "sys INTEGER, temp INTEGER, temp_ttl NUMBERIC, PRIMARY KEY (conversation_id))";

  private final Connection connection;

  private SqliteCache(Connection connection) {
    this.connection = connection;
  }

  /** The cache of a client in a folder. */
  public static SqliteCache open(Path folder, String clientId) {
    try {
      Connection connection = DriverManager.getConnection("jdbc:sqlite:" + file(folder, clientId));
      try (Statement statement = connection.createStatement()) {
        statement.execute("PRAGMA journal_mode = WAL");
        for (String sql : List.of(MESSAGES, INDEX, CONVERSATIONS)) statement.execute(sql);
        statement.execute("PRAGMA user_version = " + AVIMMessageStorage.DB_VERSION);
      }
      return new SqliteCache(connection);
    } catch (SQLException error) {
      throw new IllegalStateException("no cache for " + clientId, error);
    }
  }

  /** The path of a client's cache. */
  public static Path file(Path folder, String clientId) {
    return folder.resolve(AVIMMessageStorage.DB_NAME_PREFIX + clientId);
  }

  @Override
  public synchronized int insert(String table, Map<String, Object> values) {
    Map<String, Object> columns = columns(values);
    String names = String.join(", ", columns.keySet());
    String places = String.join(", ", columns.keySet().stream().map(name -> "?").toList());
    return change("INSERT OR IGNORE INTO " + table + " (" + names + ") VALUES (" + places + ")", new ArrayList<>(columns.values()));
  }

  @Override
  public synchronized int update(String table, Map<String, Object> values, String where, String[] arguments) {
    Map<String, Object> columns = columns(values);
    String sets = String.join(", ", columns.keySet().stream().map(name -> name + " = ?").toList());
    List<Object> all = new ArrayList<>(columns.values());
    all.addAll(list(arguments));
    return change("UPDATE " + table + " SET " + sets + condition(where), all);
  }

  @Override
  public synchronized int delete(String table, String where, String[] arguments) {
    return change("DELETE FROM " + table + condition(where), list(arguments));
  }

  @Override
  public synchronized int queryCount(
      String table, String[] columns, String where, String[] arguments, String groupBy, String having, String orderBy) {
    return (int) countForQuery("SELECT count(*) FROM " + table + condition(where), arguments);
  }

  @Override
  public synchronized long countForQuery(String sql, String[] arguments) {
    return rows(sql, list(arguments), row -> row.getLong(1)).stream().findFirst().orElse(0L);
  }

  @Override
  public synchronized AVIMMessageStorage.MessageQueryResult queryMessages(
      String[] columns, String where, String[] arguments, String groupBy, String having, String orderBy, String limit) {
    String sql = "SELECT * FROM messages" + condition(where) + (orderBy == null ? "" : " ORDER BY " + orderBy) + (limit == null ? "" : " LIMIT " + limit);
    AVIMMessageStorage.MessageQueryResult result = new AVIMMessageStorage.MessageQueryResult();
    result.messages = new ArrayList<>();
    result.breakpoints = new ArrayList<>();
    rows(sql, list(arguments), row -> {
      result.messages.add(message(row));
      return result.breakpoints.add(row.getInt("breakpoint") != 0);
    });
    return result;
  }

  /** The SDK then asks the service: these tests read no conversation from the cache by the SDK. */
  @Override
  public List<AVIMConversation> queryConversations(
      String[] columns, String where, String[] arguments, String groupBy, String having, String orderBy, String limit) {
    return List.of();
  }

  @Override
  public List<AVIMConversation> rawQueryConversations(String sql, String[] arguments) {
    return List.of();
  }

  private static AVIMMessage message(ResultSet row) throws SQLException {
    byte[] payload = row.getBytes("payload");
    AVIMMessage message = new AVIMMessage(row.getString("conversation_id"), row.getString("from_peer_id"), row.getLong("timestamp"), row.getLong("receipt_timestamp"));
    message.setMessageId(row.getString("message_id"));
    message.setContent(payload == null ? null : new String(payload, StandardCharsets.UTF_8));
    message.setMessageStatus(AVIMMessage.AVIMMessageStatus.getMessageStatus(row.getInt("status")));
    return AVIMMessageManagerHelper.parseTypedMessage(message);
  }

  /** The columns that Android's `ContentValues` take: dates are left out. */
  private static Map<String, Object> columns(Map<String, Object> values) {
    Map<String, Object> columns = new LinkedHashMap<>(values);
    columns.values().removeIf(value -> value instanceof Date);
    return columns;
  }

  private static String condition(String where) {
    return where == null || where.isBlank() ? "" : " WHERE " + where;
  }

  private static List<Object> list(String[] arguments) {
    return arguments == null ? List.of() : List.of((Object[]) arguments);
  }

  private int change(String sql, List<Object> arguments) {
    try (PreparedStatement statement = prepared(sql, arguments)) {
      return statement.executeUpdate();
    } catch (SQLException error) {
      throw new IllegalStateException(sql, error);
    }
  }

  private interface Reader<T> {
    T read(ResultSet row) throws SQLException;
  }

  private <T> List<T> rows(String sql, List<Object> arguments, Reader<T> reader) {
    List<T> all = new ArrayList<>();
    try (PreparedStatement statement = prepared(sql, arguments);
        ResultSet row = statement.executeQuery()) {
      while (row.next()) all.add(reader.read(row));
      return all;
    } catch (SQLException error) {
      throw new IllegalStateException(sql, error);
    }
  }

  private PreparedStatement prepared(String sql, List<Object> arguments) throws SQLException {
    PreparedStatement statement = connection.prepareStatement(sql);
    for (int index = 0; index < arguments.size(); index++) statement.setObject(index + 1, arguments.get(index));
    return statement;
  }
}
