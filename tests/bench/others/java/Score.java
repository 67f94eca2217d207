package bench;

/** How far a count lies from those before it, in standard deviations, old ones weighing less. */
public final class Score {
  private static final double WEIGHT = 0.05;

  public double mean;
  public double variance;

  /** Scores a count, then learns it. */
  public double next(long count) {
    double off = count - mean;
    double score = off / Math.sqrt(variance + 1);
    mean += WEIGHT * off;
    variance = (1 - WEIGHT) * (variance + WEIGHT * off * off);
    return score;
  }
}
