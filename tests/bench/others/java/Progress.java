package bench;

import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/** Prints now and then how many records were read, with the wall and processor time so far. */
public final class Progress {
  private static final long SETTLE_MS = 6_500;
  private static final int STEPS = 100;
  private static final OperatingSystemMXBean MACHINE =
      (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
  private static final AtomicLong READ = new AtomicLong();
  private static final CountDownLatch DONE = new CountDownLatch(1);
  private static long wanted;
  private static long step;

  public static void expect(long records) {
    wanted = records;
    step = Math.max(1, records / STEPS);
  }

  /** Counts a record as it is read. The processor time is the process's, with compiler and GC. */
  public static void count() {
    long read = READ.incrementAndGet();
    if (read == 1 || read % step == 0 || read == wanted) {
      System.out.printf(
          "{\"read\": %d, \"wall_s\": %.6f, \"cpu_s\": %.6f}%n",
          read, System.nanoTime() / 1e9, MACHINE.getProcessCpuTime() / 1e9);
      System.out.flush();
      if (read == wanted) {
        DONE.countDown();
      }
    }
  }

  /** Waits for the last record, and then until what follows from it was committed. */
  public static void await() throws InterruptedException {
    DONE.await();
    Thread.sleep(SETTLE_MS);
  }
}
