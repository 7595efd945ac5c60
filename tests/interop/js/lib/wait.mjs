// Waiting without guessing how long: promises with a limit, events that may already have come, conditions that hold soon.

/** The longest that anything may take, in ms, on a slow and busy machine. Nothing that works ever takes as long. */
export const PATIENCE = 20_000;

/** The promise's outcome, or a failure that says what did not happen. */
export async function within(promise, what, ms = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain: ${what}`)), ms);
    // A wait that nobody needs any more must not keep the process; the service does while tests run.
    timer.unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until the answer is true-ish, and returns it. For states that raise no event. */
export async function until(what, question, ms = PATIENCE) {
  const end = Date.now() + ms;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 25));
  }
}

/**
 * Remembers every event of an emitter from the first moment on, so that a test may ask for one before or after it
 * came. Each remembered event is handed out once.
 */
export class Recorder {
  #remembered = [];
  #waiting = [];

  /** `label` says in failures whose events these are. */
  constructor(emitter, names, label = 'the emitter') {
    this.label = label;
    for (const name of names) emitter.on(name, (...payload) => this.#note({ name, payload, taken: false }));
  }

  /** The payloads of all events of this name so far, handed out or not. */
  seen(name) {
    return this.#remembered.filter(event => event.name === name).map(event => event.payload);
  }

  /** The names of all events so far, in the order in which they came, as far as they are among `names`. */
  order(...names) {
    return this.#remembered.map(event => event.name).filter(name => names.includes(name));
  }

  /** The payload (an array) of the first event of this name that fits and was not handed out yet. */
  next(name, fits = () => true) {
    const early = this.#remembered.find(event => !event.taken && event.name === name && fits(...event.payload));
    if (early) {
      early.taken = true;
      return Promise.resolve(early.payload);
    }
    const late = new Promise(resolve => this.#waiting.push({ name, fits, resolve }));
    return within(late, `${this.label} gets the event ${name}`);
  }

  #note(event) {
    this.#remembered.push(event);
    const index = this.#waiting.findIndex(({ name, fits }) => name === event.name && fits(...event.payload));
    if (index < 0) return;
    event.taken = true;
    this.#waiting.splice(index, 1)[0].resolve(event.payload);
  }
}
