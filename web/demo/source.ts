/** Where live sound comes from: the microphone, or the example over and over. */

const QUIET = { echoCancellation: true, noiseSuppression: false, autoGainControl: false };

export interface LiveSource {
    stream: MediaStream;
    isExample: boolean;
    end(): void;
}

export async function openMicrophone(): Promise<LiveSource> {
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
    return { stream, isExample: false, end: () => stream.getTracks().forEach((track) => track.stop()) };
}

export async function openExample(context: AudioContext, example: Promise<Blob>): Promise<LiveSource> {
    const buffer = await context.decodeAudioData(await (await example).arrayBuffer());
    const source = new AudioBufferSourceNode(context, { buffer, loop: true });
    const destination = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
    source.connect(destination);
    source.start();
    return { stream: destination.stream, isExample: true, end: () => source.stop() };
}
