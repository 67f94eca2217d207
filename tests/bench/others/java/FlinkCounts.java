package bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.AggregateFunction;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.java.tuple.Tuple2;
import org.apache.flink.configuration.CheckpointingOptions;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.core.execution.CheckpointingMode;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.windowing.ProcessWindowFunction;
import org.apache.flink.streaming.api.windowing.assigners.TumblingEventTimeWindows;
import org.apache.flink.streaming.api.windowing.windows.TimeWindow;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/**
 * Flink: counts each symbol's orders, cancels and fills in windows of a second, scores each window
 * and sends it on, exactly once.
 *
 * <p>ADDRESS RECORDS STATE_FOLDER OUTPUT_TOPIC PARALLELISM TOPIC...
 */
public final class FlinkCounts {
  private static final Duration WINDOW = Duration.ofSeconds(1);
  private static final Duration LATENESS = Duration.ofMillis(50);
  private static final int CHECKPOINT_MS = 5_000;

  private static final class Reader implements KafkaRecordDeserializationSchema<Event> {
    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<Event> out)
        throws IOException {
      Progress.count();
      out.collect(Event.parse(record.value()));
    }

    @Override
    public TypeInformation<Event> getProducedType() {
      return TypeInformation.of(Event.class);
    }
  }

  private static final class Counter implements AggregateFunction<Event, Counts, Counts> {
    @Override
    public Counts createAccumulator() {
      return new Counts();
    }

    @Override
    public Counts add(Event event, Counts counts) {
      return counts.add(event.kind);
    }

    @Override
    public Counts getResult(Counts counts) {
      return counts;
    }

    @Override
    public Counts merge(Counts one, Counts other) {
      throw new UnsupportedOperationException("windows that do not overlap are not merged");
    }
  }

  private static final class Scorer
      extends ProcessWindowFunction<Counts, Tuple2<String, String>, String, TimeWindow> {
    private final ValueStateDescriptor<Score> state =
        new ValueStateDescriptor<>("score", Score.class);

    @Override
    public void process(
        String symbol, Context context, Iterable<Counts> only, Collector<Tuple2<String, String>> out)
        throws IOException {
      ValueState<Score> kept = context.globalState().getState(state);
      Score score = kept.value() == null ? new Score() : kept.value();
      Counts counts = only.iterator().next();
      double value = score.next(counts.cancels);
      kept.update(score);
      out.collect(
          Tuple2.of(symbol, counts.toJson(symbol, context.window().getEnd(), value)));
    }
  }

  public static void main(String[] args) throws Exception {
    Progress.expect(Long.parseLong(args[1]));
    String topic = args[3];
    Configuration settings = new Configuration();
    settings.set(
        CheckpointingOptions.CHECKPOINTS_DIRECTORY, Path.of(args[2]).toUri().toString());
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.createLocalEnvironment(Integer.parseInt(args[4]), settings);
    environment.enableCheckpointing(CHECKPOINT_MS, CheckpointingMode.EXACTLY_ONCE);
    environment.getConfig().enableObjectReuse();
    KafkaSource<Event> source =
        KafkaSource.<Event>builder()
            .setBootstrapServers(args[0])
            .setGroupId(topic)
            .setTopics(Arrays.copyOfRange(args, 5, args.length))
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setDeserializer(new Reader())
            .build();
    KafkaSink<Tuple2<String, String>> sink =
        KafkaSink.<Tuple2<String, String>>builder()
            .setBootstrapServers(args[0])
            .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
            .setTransactionalIdPrefix(topic)
            .setProperty("transaction.timeout.ms", "60000")
            .setRecordSerializer(
                (KafkaRecordSerializationSchema<Tuple2<String, String>>)
                    (window, context, ts) ->
                        new ProducerRecord<>(
                            topic,
                            window.f0.getBytes(StandardCharsets.UTF_8),
                            window.f1.getBytes(StandardCharsets.UTF_8)))
            .build();
    environment
        .fromSource(
            source,
            WatermarkStrategy.<Event>forBoundedOutOfOrderness(LATENESS)
                .withTimestampAssigner((event, ts) -> event.ts),
            "events")
        .keyBy(event -> event.symbol)
        .window(TumblingEventTimeWindows.of(WINDOW))
        .aggregate(new Counter(), new Scorer())
        .sinkTo(sink);
    environment.executeAsync();
    Progress.await();
    Runtime.getRuntime().halt(0);
  }
}
