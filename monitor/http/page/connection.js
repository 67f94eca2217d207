"use strict";

// What this page asks of the port that it came from, and the alerts that the port sends. The token, where
// one is needed, stays in this object: in no address, no cookie and no storage, so a new page asks anew.
const POLL_MS = 5000;
const STREAM_SILENCE_MS = 40_000; // the port writes every 15 s
const SETTLED_MS = 10_000; // a stream that was open for so long was no failure
const RETRY_MS = [500, 1000, 2000, 5000, 10_000];

class TokenNeeded extends Error {}

// A refusal of the port: its status and its sentence.
class Refusal extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

class PortConnection {
  #token = "";
  #lostSince = null;
  #wake = () => {};

  // `onState`: called with {lostSince: ms or null, why, needsToken} when that changes.
  constructor(onState) {
    this.onState = onState;
  }

  // Whoever waits for a token, or for the next attempt, goes on at once.
  useToken(token) {
    this.#token = token;
    this.#wake();
  }

  async #ask(path, headers = {}, signal = undefined) {
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    const reply = await fetch(path, { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" });
    if (reply.status === 401) throw new TokenNeeded("a token is needed");
    if (!reply.ok) throw new Refusal(reply.status, (await reply.text()).trim());
    return reply;
  }

  // A document of the port. Throws `Refusal`, `TokenNeeded`, or a TypeError where nobody answers.
  async get(path) {
    const reply = await this.#ask(path, {}, AbortSignal.timeout(STREAM_SILENCE_MS));
    return reply.json();
  }

  // Follow the alerts for ever: `begin` reads where things stand and gives the last event's id, `take`
  // gets each alert since. After a break both begin again.
  async follow(begin, take) {
    for (let attempt = 0; ; attempt += 1) {
      let openedAt = Infinity;
      try {
        await this.#stream(String(await begin()), take, () => {
          openedAt = Date.now();
          this.#report(null, "");
        });
        this.#lose("the port has ended the stream");
      } catch (error) {
        if (error instanceof TokenNeeded) {
          const wasWrong = this.#token !== "";
          this.#token = "";
          this.onState({ lostSince: null, why: wasWrong ? "This token is not right." : "", needsToken: true });
          await new Promise((resolve) => { this.#wake = resolve; });
          continue;
        }
        this.#lose(error instanceof Refusal ? error.message : "the port does not answer");
      }
      if (Date.now() - openedAt > SETTLED_MS) attempt = 0;
      await this.#pause(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
    }
  }

  #lose(why) {
    this.#report(this.#lostSince ?? Date.now(), why);
  }

  #report(lostSince, why) {
    this.#lostSince = lostSince;
    this.onState({ lostSince, why, needsToken: false });
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #stream(lastId, take, onOpen) {
    const abort = new AbortController();
    let timer = setTimeout(() => abort.abort(), STREAM_SILENCE_MS);
    try {
      // As a browser's own EventSource does, which cannot send a token.
      const reply = await this.#ask("/events", { Accept: "text/event-stream", "Last-Event-ID": lastId }, abort.signal);
      onOpen();
      const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
      const events = new EventParser(take);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort(), STREAM_SILENCE_MS);
        events.add(value);
      }
    } catch (error) {
      abort.abort();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

// Server-sent events from pieces of text, as the port writes them: `take` gets each one's data as an object.
class EventParser {
  #rest = "";

  constructor(take) {
    this.take = take;
  }

  add(text) {
    const blocks = (this.#rest + text).split("\n\n");
    this.#rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trimStart());
      if (data.length) this.take(JSON.parse(data.join("\n")));
    }
  }
}
