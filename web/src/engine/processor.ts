/** The audio thread's side of PercepNetNode. */

import { wordsOf } from "../errors.js";
import type { FromProcessor, ProcessorOptions, ToProcessor } from "../messages.js";
import { Budget } from "./budget.js";
import { compiled, Core, NO_LIMIT_DB } from "./core.js";
import { Ladder } from "./ladder.js";

declare const sampleRate: number;
declare const currentTime: number;
declare const renderQuantumSize: number | undefined;
declare class AudioWorkletProcessor {
    readonly port: MessagePort;
    constructor(options?: unknown);
}
declare function registerProcessor(name: string, processor: unknown): void;

export const PROCESSOR_NAME = "percepnet";
/** An attenuation limit from here on is none. */
export const LIMIT_NONE_DB = 100;
const QUANTUM_SAMPLES = 128;
const WARM_UP_MS = 60;
/** What the beginning may take of the audio thread at a time. */
const STEP_MS = 1.5;

/** Scopes of audio worklets need not have a clock finer than a millisecond; over many calls its sum is right all the same. */
const clock: () => number =
    typeof performance === "object" && typeof performance.now === "function"
        ? () => performance.now()
        : () => Date.now();

function quantumSamples(): number {
    return typeof renderQuantumSize === "number" ? renderQuantumSize : QUANTUM_SAMPLES;
}

export function registerPercepNet(): void {
    class PercepNetProcessor extends AudioWorkletProcessor {
        private ladder: Ladder | null = null;
        private core: Core | null = null;
        private readonly budget: Budget | null;
        private readonly options: ProcessorOptions;
        private quantum = quantumSamples();
        private enabled: boolean;
        private limitDb: number;
        /** The model for what is left of an echo; 0: there is no far end. */
        private residual = 0;
        private isClosed = false;
        /** What is left to do before the first sample can be enhanced. */
        private steps: Generator<void> | null;
        private seconds = 0;
        private spentMs = 0;
        private longestMs = 0;
        private untilSpeechS = 0;
        private lastSpeech = -1;

        static get parameterDescriptors(): unknown[] {
            return [
                {
                    name: "attenuationLimit",
                    defaultValue: LIMIT_NONE_DB,
                    minValue: 0,
                    maxValue: LIMIT_NONE_DB,
                    automationRate: "k-rate",
                },
            ];
        }

        constructor(given: { processorOptions: ProcessorOptions }) {
            super();
            this.options = given.processorOptions;
            this.enabled = this.options.enabled;
            this.limitDb = this.options.attenuationLimitDb;
            this.budget = this.options.loadMax === null ? null : new Budget(this.options.loadMax);
            this.port.onmessage = (event: MessageEvent<ToProcessor>) => this.obey(event.data);
            this.steps = this.beginning();
            if (this.options.loadMax === null) {
                this.begin(Infinity); // offline nobody waits, and the first sample is to be enhanced
            }
        }

        /** Some steps of the beginning, until the node asks for more. */
        private begin(milliseconds: number): void {
            const deadline = clock() + milliseconds;
            try {
                while (this.steps && this.steps.next().done !== true) {
                    if (clock() >= deadline) {
                        this.say({ type: "beginning" });
                        return;
                    }
                }
            } catch (refused) {
                this.fail(refused);
            }
            this.steps = null;
        }

        private *beginning(): Generator<void> {
            const { image, models } = this.options;
            const module = compiled(this.options.wasm);
            yield;
            const core = new Core(module, image);
            this.core = core;
            yield;
            const addresses = image ? image.addresses : [];
            for (let i = addresses.length; i < models.length; i++) {
                addresses.push(core.loadModel(new Uint8Array(models[i]!.bytes)));
                yield;
            }
            if (this.options.farEnd) {
                this.residual = image ? image.residual : core.loadModel(new Uint8Array(this.options.residual!));
                yield;
            }
            const names = models.map((model) => model.name);
            const ladder = new Ladder(core, names, addresses, this.streamOptions());
            yield;
            let leftMs = WARM_UP_MS;
            for (const warm = ladder.warmUp(); leftMs > 0; ) {
                const start = clock();
                if (warm.next().done === true) {
                    break;
                }
                leftMs -= clock() - start;
                yield;
            }
            ladder.endWarmUp();
            // it may have been switched meanwhile; the limit comes with every call
            ladder.setBypass(!this.enabled);
            this.ladder = ladder;
            // the bytes are in the library now
            this.options.models = [];
            this.options.image = null;
            this.options.residual = null;
            this.say({
                type: "ready",
                latencySamples: ladder.stream.latencySamples,
                kernel: core.kernel,
                model: ladder.model,
            });
        }

        private streamOptions() {
            return {
                sampleRate,
                channels: this.options.channels,
                blockSamples: this.quantum,
                attenuationLimitDb: this.limitDb,
                bypass: !this.enabled,
                residual: this.residual,
            };
        }

        private say(message: FromProcessor): void {
            this.port.postMessage(message);
        }

        /** From now on the input passes as it is. */
        private fail(refused: unknown): void {
            this.ladder = null;
            this.say({ type: "error", message: wordsOf(refused) });
        }

        private obey(order: ToProcessor): void {
            switch (order.type) {
                case "begin":
                    this.begin(STEP_MS);
                    break;
                case "enabled":
                    this.enabled = order.enabled;
                    this.ladder?.setBypass(!order.enabled);
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
                        longestMs: this.longestMs,
                        refusedHops: this.ladder ? this.ladder.stream.refusedHops : 0,
                        memoryBytes: this.core ? this.core.exports.memory.buffer.byteLength : 0,
                        model: this.ladder && !this.ladder.isPassing ? this.ladder.model : null,
                    });
                    break;
                case "close":
                    this.isClosed = true;
                    this.steps = null;
                    this.ladder = null;
                    this.core = null;
            }
        }

        process(inputs: Float32Array[][], outputs: Float32Array[][], parameters: Record<string, Float32Array>): boolean {
            const input = inputs[0]!;
            const output = outputs[0]!;
            if (this.isClosed) {
                return false;
            }
            if (this.steps) {
                return true; // silence: the input as it is would be heard earlier than what follows
            }
            if (!this.ladder) {
                pass(input, output);
                return true;
            }
            try {
                this.enhance(this.ladder, input, inputs[1], output, parameters["attenuationLimit"]!);
            } catch (thrown) {
                this.fail(thrown);
                pass(input, output);
            }
            return true;
        }

        private enhance(
            ladder: Ladder, input: Float32Array[], far: Float32Array[] | undefined, output: Float32Array[], limit: Float32Array,
        ): void {
            const samples = output[0]!.length;
            if (samples !== this.quantum) {
                this.changeQuantum(ladder, samples);
            }
            this.setLimit(ladder, limit[0]!);
            const seconds = samples / sampleRate;
            const start = clock();
            ladder.process(input.length ? input : undefined, far, seconds);
            for (let c = 0; c < output.length; c++) {
                output[c]!.set(ladder.stream.output(c));
            }
            const end = clock();
            this.seconds += seconds;
            this.spentMs += end - start;
            this.longestMs = Math.max(this.longestMs, end - start);
            this.keepBudget(ladder, start, end, seconds);
            this.sayWhetherSpeech(ladder, seconds);
        }

        private setLimit(ladder: Ladder, limit: number): void {
            const limitDb = limit >= LIMIT_NONE_DB ? NO_LIMIT_DB : limit;
            if (limitDb !== this.limitDb) {
                this.limitDb = limitDb;
                ladder.setAttenuationLimit(limitDb);
            }
        }

        private changeQuantum(ladder: Ladder, samples: number): void {
            this.quantum = samples;
            ladder.rebuild(this.streamOptions());
            this.say({ type: "latency", latencySamples: ladder.stream.latencySamples });
        }

        private keepBudget(ladder: Ladder, startMs: number, endMs: number, seconds: number): void {
            if (!this.budget) {
                return;
            }
            if (this.budget.isTooMuch(startMs, endMs, 1000 * seconds) && !ladder.isPassing) {
                const load = this.budget.share;
                this.say({ type: "overload", load, model: ladder.goDown() });
                this.budget.restart(endMs);
            } else if (ladder.goesUp(seconds)) {
                this.budget.restart(endMs);
                this.say({ type: "recovered", model: ladder.model });
            }
        }

        private sayWhetherSpeech(ladder: Ladder, seconds: number): void {
            if (!this.options.speechIntervalS) {
                return;
            }
            this.untilSpeechS -= seconds;
            const probability = ladder.stream.speechProbability;
            if (this.untilSpeechS > 0 || !(probability >= 0) || probability === this.lastSpeech) {
                return;
            }
            this.untilSpeechS = this.options.speechIntervalS;
            this.lastSpeech = probability;
            this.say({ type: "speech", probability, time: currentTime });
        }
    }

    registerProcessor(PROCESSOR_NAME, PercepNetProcessor);
}

function pass(input: Float32Array[], output: Float32Array[]): void {
    for (let c = 0; c < output.length; c++) {
        if (input.length) {
            output[c]!.set(input[c < input.length ? c : 0]!);
        } else {
            output[c]!.fill(0);
        }
    }
}
