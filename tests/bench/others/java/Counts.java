package bench;

/** What a symbol had in a window. */
public final class Counts {
  public long orders;
  public long cancels;
  public long fills;

  public Counts add(char kind) {
    switch (kind) {
      case 'o' -> orders++;
      case 'c' -> cancels++;
      default -> fills++;
    }
    return this;
  }

  /** The window as the record that is sent on. */
  public String toJson(String symbol, long endMs, double score) {
    return "{\"symbol\":\"" + symbol + "\",\"end_ms\":" + endMs + ",\"orders\":" + orders
        + ",\"cancels\":" + cancels + ",\"fills\":" + fills + ",\"score\":" + score + "}";
  }
}
