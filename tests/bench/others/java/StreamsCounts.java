package bench;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.Suppressed.BufferConfig;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;
import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams: counts each symbol's orders, cancels and fills in windows of a second, scores each
 * window and sends it on, exactly once.
 *
 * <p>ADDRESS RECORDS STATE_FOLDER OUTPUT_TOPIC THREADS TOPIC...
 */
public final class StreamsCounts {
  private static final Duration WINDOW = Duration.ofSeconds(1);
  private static final Duration LATENESS = Duration.ofMillis(50);
  private static final Duration KEPT = Duration.ofSeconds(10);
  private static final int COMMIT_MS = 5_000;
  private static final String SCORES = "scores";

  /** Keeps the symbol's score, and makes the record that is sent on. */
  private static final class Scorer
      extends ContextualProcessor<Windowed<String>, Counts, String, String> {
    @Override
    public void process(Record<Windowed<String>, Counts> window) {
      KeyValueStore<String, Score> scores = context().getStateStore(SCORES);
      String symbol = window.key().key();
      Score score = scores.get(symbol);
      score = score == null ? new Score() : score;
      double value = score.next(window.value().cancels);
      scores.put(symbol, score);
      String json = window.value().toJson(symbol, window.key().window().end(), value);
      context().forward(window.withKey(symbol).withValue(json));
    }
  }

  private static Event read(String topic, byte[] record) {
    Progress.count();
    try {
      return Event.parse(record);
    } catch (IOException e) {
      throw new SerializationException(e);
    }
  }

  private static Serde<Counts> countsSerde() {
    return Serdes.serdeFrom(
        (topic, counts) ->
            counts == null
                ? null
                : ByteBuffer.allocate(24)
                    .putLong(counts.orders)
                    .putLong(counts.cancels)
                    .putLong(counts.fills)
                    .array(),
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          Counts counts = new Counts();
          counts.orders = buffer.getLong();
          counts.cancels = buffer.getLong();
          counts.fills = buffer.getLong();
          return counts;
        });
  }

  private static Serde<Score> scoreSerde() {
    return Serdes.serdeFrom(
        (topic, score) ->
            ByteBuffer.allocate(16).putDouble(score.mean).putDouble(score.variance).array(),
        (topic, bytes) -> {
          if (bytes == null) {
            return null;
          }
          ByteBuffer buffer = ByteBuffer.wrap(bytes);
          Score score = new Score();
          score.mean = buffer.getDouble();
          score.variance = buffer.getDouble();
          return score;
        });
  }

  public static void main(String[] args) throws Exception {
    Progress.expect(Long.parseLong(args[1]));
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, args[3]);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, args[2]);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, args[4]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_MS);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put("auto.offset.reset", "earliest");

    Serde<Event> events =
        Serdes.serdeFrom(
            (Serializer<Event>) (topic, event) -> null,
            (Deserializer<Event>) StreamsCounts::read);
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(
            Stores.inMemoryKeyValueStore(SCORES), Serdes.String(), scoreSerde()));
    builder.stream(
            List.of(args).subList(5, args.length),
            Consumed.with(Serdes.String(), events)
                .withTimestampExtractor((record, latest) -> ((Event) record.value()).ts))
        .groupByKey(Grouped.with(Serdes.String(), events))
        .windowedBy(TimeWindows.ofSizeAndGrace(WINDOW, LATENESS))
        .aggregate(
            Counts::new,
            (symbol, event, counts) -> counts.add(event.kind),
            Materialized.<String, Counts>as(
                    Stores.inMemoryWindowStore("counts", KEPT, WINDOW, false))
                .withKeySerde(Serdes.String())
                .withValueSerde(countsSerde()))
        .suppress(Suppressed.untilWindowCloses(BufferConfig.unbounded()))
        .toStream()
        .process(Scorer::new, SCORES)
        .to(args[3], Produced.with(Serdes.String(), Serdes.String()));
    KafkaStreams streams = new KafkaStreams(builder.build(), settings);
    streams.start();
    Progress.await();
    streams.close(Duration.ofSeconds(10));
  }
}
