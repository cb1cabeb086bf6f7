"use strict";
(() => {
  // src/errors.ts
  var PercepNetError = class extends Error {
    constructor() {
      super(...arguments);
      this.name = "PercepNetError";
    }
  };
  function wordsOf(thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }

  // src/engine/budget.ts
  var Budget = class {
    /** `shareMax` is what the enhancement may take of real time. */
    constructor(shareMax = 0.5) {
      this.shareMax = shareMax;
      /** What the last window took of its own length. */
      this.share = 0;
      this.spentMs = 0;
      this.audioMs = 0;
      this.wallStartMs = -1;
      this.lastMs = -1;
      this.heavyWindows = 0;
    }
    /** Note a call that began and ended at these times, and enhanced so much audio; returns whether it is too much. */
    isTooMuch(startMs, endMs, audioMs) {
      return (this.wallStartMs < 0 || startMs - this.lastMs > 1e3) && this.restart(startMs), this.lastMs = endMs, this.spentMs += endMs - startMs, this.audioMs += audioMs, this.audioMs >= 250 && this.judge(endMs);
    }
    /** Forget what was. */
    restart(nowMs) {
      this.heavyWindows = 0, this.begin(nowMs);
    }
    begin(nowMs) {
      this.spentMs = 0, this.audioMs = 0, this.wallStartMs = nowMs, this.lastMs = nowMs;
    }
    judge(nowMs) {
      this.share = this.spentMs / this.audioMs;
      let lateMs = nowMs - this.wallStartMs - this.audioMs, isGuilty = this.share > Math.min(0.2, this.shareMax), isHeavy = this.share > this.shareMax || lateMs > 100 && isGuilty;
      return this.heavyWindows = isHeavy ? this.heavyWindows + 1 : 0, this.begin(nowMs), this.heavyWindows >= 2 || this.share > Math.max(0.9, this.shareMax);
    }
  };

  // src/engine/core.ts
  var NO_LIMIT_DB = -1, Core = class _Core {
    constructor(module) {
      this.exports = new WebAssembly.Instance(module, {}).exports, this.exports._initialize();
    }
    /** Compiled at once, which a content security policy without 'wasm-unsafe-eval' forbids. */
    static compile(bytes) {
      let module;
      try {
        module = new WebAssembly.Module(bytes);
      } catch (refused) {
        throw new PercepNetError(explained(refused));
      }
      return new _Core(module);
    }
    /** The instruction set that runs. */
    get kernel() {
      return this.text(this.exports.kernel(0));
    }
    get version() {
      return this.text(this.exports.version());
    }
    /** A model of the bytes of its file, which are not needed any more. */
    loadModel(bytes) {
      let at = this.take(bytes.length);
      new Uint8Array(this.exports.memory.buffer).set(bytes, at);
      let model = this.exports.model_load(at, bytes.length, 0);
      if (this.exports.give_back(at), !model)
        throw this.refusal();
      return model;
    }
    createStream(model, options) {
      let { sampleRate: sampleRate2, channels, blockSamples, attenuationLimitDb = NO_LIMIT_DB, bypass = !1 } = options, stream = this.exports.stream_create(
        model,
        sampleRate2,
        channels,
        blockSamples,
        attenuationLimitDb,
        Number(bypass)
      );
      if (!stream)
        throw this.refusal();
      return new CoreStream(this, stream, options);
    }
    take(bytes) {
      let at = this.exports.take(bytes);
      if (!at)
        throw new PercepNetError(`no memory for ${bytes} bytes: close other streams`);
      return at;
    }
    refusal() {
      return new PercepNetError(this.text(this.exports.error()));
    }
    text(at) {
      let bytes = new Uint8Array(this.exports.memory.buffer), text = "";
      for (let i = at; i < bytes.length && bytes[i]; i++)
        text += String.fromCharCode(bytes[i]);
      return text;
    }
  };
  function explained(refused) {
    let words = refused instanceof Error ? refused.message : String(refused);
    return /content security policy|unsafe-eval|csp/i.test(words) ? "the page's content security policy forbids WebAssembly: add 'wasm-unsafe-eval' to its script-src" : `percepnet.wasm cannot be compiled: fetch it anew (${words})`;
  }
  var CoreStream = class {
    constructor(core, address, options) {
      this.core = core;
      this.address = address;
      this.options = options;
      this.x = 0;
      this.y = 0;
      this.capacity = 0;
      this.samples = 0;
      this.memory = null;
      this.inputs = [];
      this.outputs = [];
      this.block = 0;
      this.latencySamples = core.exports.stream_latency(address), this.room = this.latencySamples;
    }
    /** Long chunks go through the network layer by layer from now on, up to so many hops of 10 ms at once. */
    useBlock(model, hops) {
      if (this.block = this.core.exports.block_create(model, this.options.channels, hops), !this.block)
        throw this.core.refusal();
    }
    /** Room for calls of so many samples. */
    prepare(samples) {
      let { exports } = this.core;
      this.x && (exports.give_back(this.x), exports.give_back(this.y)), this.samples = samples, this.capacity = this.options.blockSamples ? samples : this.room + exports.stream_ready_max(samples, this.options.sampleRate), this.x = this.core.take(4 * samples * this.options.channels), this.y = this.core.take(4 * this.capacity * this.options.channels), this.memory = null, this.look();
    }
    /** The views again, if the memory has grown since. */
    look() {
      let buffer = this.core.exports.memory.buffer;
      if (buffer !== this.memory) {
        this.memory = buffer, this.inputs = [], this.outputs = [];
        for (let c = 0; c < this.options.channels; c++)
          this.inputs.push(new Float32Array(buffer, this.x + 4 * c * this.samples, this.samples)), this.outputs.push(new Float32Array(buffer, this.y + 4 * c * this.capacity, this.capacity));
      }
    }
    /** Enhance as many samples as were prepared: a channel that is not there is silence, one that is missing beside others
        is the first. Returns how many there are in `output`. */
    process(input) {
      this.look();
      let given = input ? input.length : 0;
      for (let c = 0; c < this.inputs.length; c++)
        given ? this.inputs[c].set(input[c < given ? c : 0]) : this.inputs[c].fill(0);
      return this.run(this.samples);
    }
    /** The same of the next `count` samples from `start` on, at most as many as were prepared. */
    processPart(input, start, count) {
      this.look();
      for (let c = 0; c < this.inputs.length; c++)
        this.inputs[c].set(input[c].subarray(start, start + count));
      return this.run(count);
    }
    run(count) {
      let ready = this.core.exports.stream_process(
        this.address,
        this.block,
        this.x,
        count,
        this.samples,
        this.y,
        this.capacity
      );
      if (ready < 0)
        throw new PercepNetError(`the stream refuses a call of ${count} samples (${ready})`);
      return ready;
    }
    /** The samples that the delay holds back; the stream is at its beginning again. */
    flush() {
      return this.look(), this.core.exports.stream_flush(this.address, this.y, this.capacity);
    }
    /** What the last call gave: it changes with the next one. */
    output(channel) {
      return this.outputs[channel];
    }
    reset() {
      this.core.exports.stream_reset(this.address);
    }
    setAttenuationLimit(limitDb) {
      this.core.exports.stream_set_attenuation_limit(this.address, limitDb);
    }
    setBypass(bypass) {
      this.core.exports.stream_set_bypass(this.address, Number(bypass));
    }
    setIdle(idle) {
      this.core.exports.stream_set_idle(this.address, Number(idle));
    }
    get refusedHops() {
      return this.core.exports.stream_refused_hops(this.address);
    }
    /** 0 to 1; below 0, or NaN, if the model does not say. */
    get speechProbability() {
      return this.core.exports.stream_speech_probability(this.address);
    }
    destroy() {
      let { exports } = this.core;
      exports.stream_destroy(this.address), exports.block_destroy(this.block), exports.give_back(this.x), exports.give_back(this.y);
    }
  };

  // src/engine/ladder.ts
  var PRIMING_S = 0.15, RETRY_S = 5, RETRY_MAX_S = 320, Ladder = class {
    constructor(core, models, options) {
      this.core = core;
      this.models = models;
      this.options = options;
      this.isPassing = !1;
      this.at = 0;
      this.next = null;
      this.untilNextS = 0;
      this.untilRetryS = 0;
      this.retryS = RETRY_S;
      this.keptUpS = 0;
      this.streams = [];
      this.addresses = [];
      for (let model of models)
        this.addresses.push(core.loadModel(new Uint8Array(model.bytes)));
      this.stream = this.build()[0];
    }
    build() {
      for (let address of this.addresses) {
        let stream = this.core.createStream(address, this.options);
        stream.prepare(this.options.blockSamples), this.streams.push(stream);
      }
      return this.streams;
    }
    /** Calls of another length from now on: new streams, of the same models. */
    rebuild(options) {
      this.discard(), this.options = options, this.stream = this.build()[this.at], this.stream.setIdle(this.isPassing), this.next = null;
    }
    get model() {
      return this.models[this.at].name;
    }
    /** Hops of silence, before any that counts: code is compiled and memory is fetched meanwhile. At most until `deadlineMs`. */
    warmUp(clock2, deadlineMs) {
      for (let stream of this.streams) {
        for (let done = 0; done < this.options.sampleRate && clock2() < deadlineMs; )
          stream.process(void 0), done += this.options.blockSamples;
        stream.reset();
      }
    }
    process(input, seconds) {
      this.stream.process(input), this.next && (this.next.process(input), this.untilNextS -= seconds, this.untilNextS <= 0 && (this.stream = this.next, this.next = null, this.stream.setIdle(this.isPassing)));
    }
    /** Down one step; returns what is heard from now on, which is no model on the last step. */
    goDown() {
      return this.stream.setIdle(!0), this.keptUpS = 0, this.at + 1 < this.streams.length && !this.isPassing ? (this.at++, this.next = this.streams[this.at], this.next.reset(), this.next.setIdle(!0), this.untilNextS = PRIMING_S, this.model) : (this.isPassing = !0, this.untilRetryS = this.retryS, this.retryS = Math.min(2 * this.retryS, RETRY_MAX_S), null);
    }
    /** Whether a new try begins: so much more audio has passed. */
    goesUp(seconds) {
      return this.isPassing ? (this.untilRetryS -= seconds, this.untilRetryS > 0 ? !1 : (this.isPassing = !1, this.stream.setIdle(!1), !0)) : (this.keptUpS += seconds, this.keptUpS > 2 * this.retryS && (this.retryS = RETRY_S), !1);
    }
    setAttenuationLimit(limitDb) {
      this.options.attenuationLimitDb = limitDb;
      for (let i = 0; i < this.streams.length; i++)
        this.streams[i].setAttenuationLimit(limitDb);
    }
    setBypass(bypass) {
      this.options.bypass = bypass;
      for (let i = 0; i < this.streams.length; i++)
        this.streams[i].setBypass(bypass);
    }
    discard() {
      for (let stream of this.streams)
        stream.destroy();
      this.streams.length = 0;
    }
    destroy() {
      this.discard();
      for (let address of this.addresses)
        this.core.exports.model_destroy(address);
    }
  };

  // src/engine/processor.ts
  var PROCESSOR_NAME = "percepnet", LIMIT_NONE_DB = 100, QUANTUM_SAMPLES = 128, WARM_UP_MS = 60, clock = typeof performance == "object" && typeof performance.now == "function" ? () => performance.now() : () => Date.now();
  function quantumSamples() {
    return typeof renderQuantumSize == "number" ? renderQuantumSize : QUANTUM_SAMPLES;
  }
  function registerPercepNet() {
    class PercepNetProcessor extends AudioWorkletProcessor {
      constructor(given) {
        super();
        this.ladder = null;
        this.core = null;
        this.quantum = quantumSamples();
        this.isClosed = !1;
        this.seconds = 0;
        this.spentMs = 0;
        this.untilSpeechS = 0;
        this.lastSpeech = -1;
        this.options = given.processorOptions, this.enabled = this.options.enabled, this.limitDb = this.options.attenuationLimitDb, this.budget = this.options.loadMax === null ? null : new Budget(this.options.loadMax), this.port.onmessage = (event) => this.obey(event.data);
        try {
          this.begin();
        } catch (refused) {
          this.fail(refused);
        }
      }
      static get parameterDescriptors() {
        return [
          {
            name: "attenuationLimit",
            defaultValue: LIMIT_NONE_DB,
            minValue: 0,
            maxValue: LIMIT_NONE_DB,
            automationRate: "k-rate"
          }
        ];
      }
      begin() {
        this.core = Core.compile(this.options.wasm);
        let ladder = new Ladder(this.core, this.options.models, this.streamOptions());
        ladder.warmUp(clock, clock() + WARM_UP_MS), this.ladder = ladder, this.options.models = [], this.say({
          type: "ready",
          latencySamples: ladder.stream.latencySamples,
          kernel: this.core.kernel,
          model: ladder.model
        });
      }
      streamOptions() {
        return {
          sampleRate,
          channels: this.options.channels,
          blockSamples: this.quantum,
          attenuationLimitDb: this.limitDb,
          bypass: !this.enabled
        };
      }
      say(message) {
        this.port.postMessage(message);
      }
      /** From now on the input passes as it is. */
      fail(refused) {
        this.ladder = null, this.say({ type: "error", message: wordsOf(refused) });
      }
      obey(order) {
        switch (order.type) {
          case "enabled":
            this.enabled = order.enabled, this.ladder?.setBypass(!order.enabled);
            break;
          case "reset":
            this.ladder?.stream.reset();
            break;
          case "stats":
            this.say({
              type: "stats",
              seconds: this.seconds,
              load: this.budget ? this.budget.share : 0,
              spentMs: this.spentMs,
              refusedHops: this.ladder ? this.ladder.stream.refusedHops : 0,
              memoryBytes: this.core ? this.core.exports.memory.buffer.byteLength : 0,
              model: this.ladder && !this.ladder.isPassing ? this.ladder.model : null
            });
            break;
          case "close":
            this.isClosed = !0, this.ladder = null, this.core = null;
        }
      }
      process(inputs, outputs, parameters) {
        let input = inputs[0], output = outputs[0];
        if (this.isClosed)
          return !1;
        if (!this.ladder)
          return pass(input, output), !0;
        try {
          this.enhance(this.ladder, input, output, parameters.attenuationLimit);
        } catch (thrown) {
          this.fail(thrown), pass(input, output);
        }
        return !0;
      }
      enhance(ladder, input, output, limit) {
        let samples = output[0].length;
        samples !== this.quantum && this.changeQuantum(ladder, samples), this.setLimit(ladder, limit[0]);
        let seconds = samples / sampleRate, start = clock();
        ladder.process(input.length ? input : void 0, seconds);
        for (let c = 0; c < output.length; c++)
          output[c].set(ladder.stream.output(c));
        let end = clock();
        this.seconds += seconds, this.spentMs += end - start, this.keepBudget(ladder, start, end, seconds), this.sayWhetherSpeech(ladder, seconds);
      }
      setLimit(ladder, limit) {
        let limitDb = limit >= LIMIT_NONE_DB ? NO_LIMIT_DB : limit;
        limitDb !== this.limitDb && (this.limitDb = limitDb, ladder.setAttenuationLimit(limitDb));
      }
      changeQuantum(ladder, samples) {
        this.quantum = samples, ladder.rebuild(this.streamOptions()), this.say({ type: "latency", latencySamples: ladder.stream.latencySamples });
      }
      keepBudget(ladder, startMs, endMs, seconds) {
        if (this.budget)
          if (this.budget.isTooMuch(startMs, endMs, 1e3 * seconds) && !ladder.isPassing) {
            let load = this.budget.share;
            this.say({ type: "overload", load, model: ladder.goDown() }), this.budget.restart(endMs);
          } else ladder.goesUp(seconds) && (this.budget.restart(endMs), this.say({ type: "recovered", model: ladder.model }));
      }
      sayWhetherSpeech(ladder, seconds) {
        if (!this.options.speechIntervalS)
          return;
        this.untilSpeechS -= seconds;
        let probability = ladder.stream.speechProbability;
        this.untilSpeechS > 0 || !(probability >= 0) || probability === this.lastSpeech || (this.untilSpeechS = this.options.speechIntervalS, this.lastSpeech = probability, this.say({ type: "speech", probability, time: currentTime }));
      }
    }
    registerProcessor(PROCESSOR_NAME, PercepNetProcessor);
  }
  function pass(input, output) {
    for (let c = 0; c < output.length; c++)
      input.length ? output[c].set(input[c < input.length ? c : 0]) : output[c].fill(0);
  }

  // src/engine/worker.ts
  var CHUNK_S = 0.5, BLOCK_HOPS = 50, MEASURE_RATE_HZ = 48e3, MEASURE_HOP = 480, MEASURE_WARM_HOPS = 40, MEASURE_HOPS = 60;
  function serve() {
    let say = (message, transfer = []) => postMessage(message, { transfer });
    onmessage = (event) => {
      try {
        answer(event.data, say);
      } catch (thrown) {
        say({ id: event.data.id, type: "error", message: wordsOf(thrown) });
      }
    };
  }
  function answer(order, say) {
    let core = Core.compile(order.wasm), model = core.loadModel(new Uint8Array(order.model));
    if (order.type === "measure")
      say({ id: order.id, type: "measured", hopMs: measure(core, model), kernel: core.kernel });
    else {
      let channels = enhanceAll(core, model, order, (done) => say({ id: order.id, type: "progress", done }));
      say({ id: order.id, type: "enhanced", channels }, channels.map((channel) => channel.buffer));
    }
  }
  function measure(core, model) {
    let stream = core.createStream(model, { sampleRate: MEASURE_RATE_HZ, channels: 1, blockSamples: MEASURE_HOP });
    stream.prepare(MEASURE_HOP);
    let noise = new Float32Array(MEASURE_HOP), times = [];
    for (let hop = 0; hop < MEASURE_WARM_HOPS + MEASURE_HOPS; hop++) {
      for (let i = 0; i < MEASURE_HOP; i++)
        noise[i] = 0.1 * (Math.random() - 0.5);
      let start = performance.now();
      stream.process([noise]), hop >= MEASURE_WARM_HOPS && times.push(performance.now() - start);
    }
    let mean = times.reduce((sum, time) => sum + time, 0) / times.length, median = times.sort((a, b) => a - b)[times.length >> 1];
    return median > 0.1 && median < mean ? median : mean;
  }
  function enhanceAll(core, model, recording, progress) {
    let { channels, sampleRate: sampleRate2, attenuationLimitDb } = recording, length = channels[0]?.length ?? 0;
    if (!length || channels.some((channel) => channel.length !== length))
      throw new PercepNetError("a recording needs one channel or more, all equally long, with samples in them");
    let stream = core.createStream(model, { sampleRate: sampleRate2, channels: channels.length, blockSamples: 0, attenuationLimitDb });
    stream.useBlock(model, BLOCK_HOPS);
    let chunk = Math.round(CHUNK_S * sampleRate2);
    stream.prepare(chunk);
    let enhanced = channels.map(() => new Float32Array(length)), at = -stream.latencySamples, keep = (ready) => {
      let skip = Math.min(Math.max(-at, 0), ready), count = Math.min(ready, length - at);
      count > skip && enhanced.forEach((samples, c) => samples.set(stream.output(c).subarray(skip, count), at + skip)), at += ready;
    };
    for (let start = 0; start < length; start += chunk) {
      let count = Math.min(chunk, length - start);
      keep(stream.processPart(channels, start, count)), progress((start + count) / length);
    }
    return keep(stream.flush()), enhanced;
  }

  // src/worklet.ts
  typeof registerProcessor == "function" ? registerPercepNet() : serve();
})();
//# sourceMappingURL=worklet.js.map
