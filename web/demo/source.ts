/** Where live sound comes from: the microphone, or the example over and over. */

const QUIET = { echoCancellation: true, noiseSuppression: false, autoGainControl: false };

interface Sound {
    stream: MediaStream;
    end(): void;
}

export interface LiveSource {
    context: AudioContext;
    stream: MediaStream;
    end(): Promise<void>;
}

/** A source in a context of its own; one that cannot be opened leaves none behind. */
export async function openSource(isExample: boolean, example: () => Promise<Blob>): Promise<LiveSource> {
    const context = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
    try {
        await context.resume();
        const { stream, end } = isExample ? await openExample(context, example()) : await openMicrophone();
        const endAll = async () => {
            end();
            await context.close();
        };
        return { context, stream, end: endAll };
    } catch (refused) {
        await context.close();
        throw refused;
    }
}

async function openMicrophone(): Promise<Sound> {
    let stream: MediaStream;
    try {
        stream = await navigator.mediaDevices.getUserMedia({ audio: QUIET });
    } catch (refused) {
        const name = refused instanceof DOMException ? refused.name : "";
        const words: Record<string, string> = {
            NotAllowedError: "The browser was not allowed to use the microphone: allow it for this page, or use the example.",
            NotFoundError: "No microphone was found: plug one in, or use the example.",
            NotReadableError: "Another program holds the microphone: close it, or use the example.",
        };
        throw new Error(words[name] ?? `The microphone cannot be opened: ${String(refused)}`);
    }
    return { stream, end: () => stream.getTracks().forEach((track) => track.stop()) };
}

async function openExample(context: AudioContext, example: Promise<Blob>): Promise<Sound> {
    const buffer = await context.decodeAudioData(await (await example).arrayBuffer());
    const source = new AudioBufferSourceNode(context, { buffer, loop: true });
    const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    source.connect(destination);
    source.start();
    return { stream: destination.stream, end: () => source.stop() };
}
