package bench;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.Serializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.Suppressed;
import org.apache.kafka.streams.kstream.TimeWindows;

/**
 * Kafka Streams: decode, count each symbol's records in windows of a second, send on the count of
 * each window that is closed; exactly once, one thread. ADDRESS RECORDS STATE_FOLDER TOPIC...
 */
public final class Counts {
  /** What of a record is looked at. */
  @JsonIgnoreProperties(ignoreUnknown = true)
  public static final class Event {
    public long ts;
    public String symbol;
    public String account;
    public String side;
    public String price;
    public String quantity;
  }

  private static final ObjectReader READER = new ObjectMapper().readerFor(Event.class);

  private static Event read(String topic, byte[] raw) {
    try {
      return READER.readValue(raw);
    } catch (IOException e) {
      throw new IllegalArgumentException(e);
    }
  }

  public static void main(String[] args) throws Exception {
    long wanted = Long.parseLong(args[1]);
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "bench-streams-" + ProcessHandle.current().pid());
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, args[2]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put("auto.offset.reset", "earliest");

    var machine = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    AtomicLong count = new AtomicLong();
    long[] began = new long[2];
    CountDownLatch done = new CountDownLatch(1);
    Serde<Event> events =
        Serdes.serdeFrom((Serializer<Event>) (t, e) -> null, (Deserializer<Event>) Counts::read);
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(
            List.of(args).subList(3, args.length),
            Consumed.with(Serdes.String(), events)
                .withTimestampExtractor((r, last) -> ((Event) r.value()).ts / 1_000_000))
        .peek(
            (key, event) -> {
              long number = count.incrementAndGet();
              if (number == 1) {
                began[0] = System.nanoTime();
                began[1] = machine.getProcessCpuTime();
              }
              if (number == wanted) {
                double wall = (System.nanoTime() - began[0]) / 1e9;
                double cpu = (machine.getProcessCpuTime() - began[1]) / 1e9;
                System.out.printf("{\"wall_s\": %f, \"cpu_s\": %f}%n", wall, cpu);
                done.countDown();
              }
            })
        .mapValues(event -> 1)
        .groupByKey(Grouped.with(Serdes.String(), Serdes.Integer()))
        .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofSeconds(1), Duration.ofMillis(50)))
        .count()
        .suppress(Suppressed.untilWindowCloses(Suppressed.BufferConfig.unbounded()))
        .toStream((window, number) -> window.key())
        .to("bench-streams-counts", Produced.with(Serdes.String(), Serdes.Long()));
    try (KafkaStreams streams = new KafkaStreams(builder.build(), settings)) {
      streams.start();
      done.await();
    }
  }
}
