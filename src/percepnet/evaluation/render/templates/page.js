"use strict";
// All tracks of a clip play at once, and one of them is heard: switching keeps the position to the sample.
(() => {
  const FADE_S = 0.01; // no click when switching
  let context = null;
  let current = null; // the player that was used last

  function bytesOf(audio) {
    const text = atob(audio.getAttribute("src").split(",")[1]);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes.buffer;
  }

  class Player {
    constructor(root) {
      this.root = root;
      this.duration = Number(root.dataset.duration);
      this.radios = [...root.querySelectorAll('input[type="radio"]')];
      this.audios = [...root.querySelectorAll("audio")];
      this.button = root.querySelector("button");
      this.slider = root.querySelector('input[type="range"]');
      this.output = root.querySelector("output");
      this.position = 0; // in seconds, while it does not play
      this.startedAt = null; // of the context's clock, while it plays
      this.buffers = null; // a promise of all that is decoded
      this.decoded = [];
      this.starting = false;
      this.request = 0;
      this.voices = [];
      this.button.addEventListener("click", () => this.toggle());
      this.slider.addEventListener("input", () => this.seek(Number(this.slider.value)));
      root.querySelectorAll("button[data-track]").forEach((button) => button.addEventListener("click", () => {
        this.select(Number(button.dataset.track));
        if (!this.playing) this.toggle();
      }));
      this.radios.forEach((radio, i) => radio.addEventListener("change", () => this.select(i)));
      root.querySelectorAll(".spectrogram").forEach((picture, i) => {
        picture.addEventListener("click", (event) => {
          const box = picture.getBoundingClientRect();
          this.select(i);
          this.seek(((event.clientX - box.left) / box.width) * this.duration);
        });
      });
      this.show();
    }

    get playing() { return this.startedAt !== null; }
    get active() { return Math.max(0, this.radios.findIndex((radio) => radio.checked)); }

    now() {
      if (!this.playing) return this.position;
      return Math.min(this.duration, Math.max(0, context.currentTime - this.startedAt));
    }

    async load() {
      if (!context) {
        const options = { sampleRate: 48000 };
        try { context = new AudioContext(options); } catch { context = new AudioContext(); }
      }
      const resumed = context.resume();
      this.buffers ??= Promise.all(this.audios.map((audio) => context.decodeAudioData(bytesOf(audio))));
      const buffers = await this.buffers;
      await resumed;
      return buffers;
    }

    async toggle() {
      if (this.playing) { this.pause(); return; }
      if (this.starting) return;
      this.take();
      this.starting = true;
      try {
        this.decoded = await this.load();
        if (current === this) this.start();
      } catch (error) {
        this.output.textContent = `cannot be played: ${error.message}`;
      } finally {
        this.starting = false;
      }
    }

    take() { // keys are for this one from now on
      if (current && current !== this) current.release();
      current = this;
    }

    release() { // decoded sound is large: only one recording's is kept
      this.pause();
      this.buffers = null;
      this.decoded = [];
    }

    start() {
      const from = this.position >= this.duration - 0.02 ? 0 : this.position;
      const when = context.currentTime + 0.02;
      this.voices = this.decoded.map((buffer, i) => {
        const source = new AudioBufferSourceNode(context, { buffer });
        const gain = new GainNode(context, { gain: i === this.active ? 1 : 0 });
        source.connect(gain).connect(context.destination);
        source.start(when, from);
        return { source, gain };
      });
      this.startedAt = when - from;
      this.button.textContent = "Pause";
      this.frame();
    }

    pause() {
      if (!this.playing) return;
      this.position = this.now();
      this.silence();
      this.show();
    }

    silence() {
      this.startedAt = null;
      for (const { source } of this.voices) source.stop();
      this.voices = [];
      this.button.textContent = "Play";
    }

    seek(seconds) {
      const wasPlaying = this.playing;
      this.take();
      if (wasPlaying) this.silence();
      this.position = Math.min(this.duration, Math.max(0, seconds));
      this.show();
      if (wasPlaying) this.start();
    }

    select(index) {
      if (index < 0 || index >= this.radios.length) return;
      this.take();
      this.radios[index].checked = true;
      this.voices.forEach(({ gain }, i) => {
        gain.gain.cancelScheduledValues(context.currentTime);
        gain.gain.setTargetAtTime(i === index ? 1 : 0, context.currentTime, FADE_S / 3);
      });
    }

    frame() {
      if (!this.playing) return;
      if (this.now() >= this.duration) { this.silence(); this.position = 0; }
      this.show();
      cancelAnimationFrame(this.request); // one is under way already after a seek
      if (this.playing) this.request = requestAnimationFrame(() => this.frame());
    }

    show() {
      const seconds = this.now();
      this.slider.value = seconds;
      this.root.style.setProperty("--at", seconds / this.duration);
      const text = `${seconds.toFixed(1)} / ${this.duration.toFixed(1)} s`;
      if (this.output.textContent !== text) {
        this.output.textContent = text;
        this.slider.setAttribute("aria-valuetext", `${seconds.toFixed(1)} seconds`);
      }
    }
  }

  document.documentElement.classList.add("js");
  const players = [...document.querySelectorAll(".clip")].map((root) => (root.player = new Player(root)));
  if (!players.length) return;

  function go(step) {
    const next = players[players.indexOf(current) + step];
    if (!next) return;
    next.take();
    next.root.scrollIntoView({ block: "start" });
    next.button.focus({ preventScroll: true });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const player = current ?? players[0];
    const key = event.key.toLowerCase();
    const onControl = event.target.closest("button, summary, a");
    if (/^[1-9]$/.test(key)) player.select(Number(key) - 1);
    else if (key === "k" || (key === " " && !onControl)) player.toggle();
    else if (key === "j") player.seek(player.now() - 1);
    else if (key === "l") player.seek(player.now() + 1);
    else if (key === "n") go(1);
    else if (key === "p") go(-1);
    else return;
    event.preventDefault();
  });
})();
