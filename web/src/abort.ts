/** What a promise gives, unless the signal is aborted before: then the signal's reason. */
export async function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
    if (!signal) {
        return promise;
    }
    let abort = () => {};
    const aborted = new Promise<never>((_, reject) => {
        abort = () => reject(signal.reason as Error);
    });
    signal.addEventListener("abort", abort);
    if (signal.aborted) {
        abort();
    }
    try {
        return await Promise.race([aborted, promise]);
    } finally {
        signal.removeEventListener("abort", abort);
    }
}
