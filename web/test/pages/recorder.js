// Keeps what it is given, for so many seconds.
class Recorder extends AudioWorkletProcessor {
    constructor({ processorOptions: { seconds, channels } }) {
        super();
        this.kept = Array.from({ length: channels }, () => new Float32Array(Math.round(seconds * sampleRate)));
        this.at = 0;
    }

    process([input]) {
        const room = this.kept[0].length - this.at;
        this.kept.forEach((channel, c) => {
            const given = input[c] ?? new Float32Array(128);
            channel.set(given.subarray(0, Math.min(room, given.length)), this.at);
        });
        this.at += Math.min(room, 128);
        if (this.at < this.kept[0].length) {
            return true;
        }
        this.port.postMessage(this.kept);
        return false;
    }
}
registerProcessor("recorder", Recorder);
