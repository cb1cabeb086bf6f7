// A processor that its audio thread stops, in the name of the package's own.
class Dying extends AudioWorkletProcessor {
    process() {
        throw new Error("this one dies");
    }
}
registerProcessor("percepnet", Dying);
