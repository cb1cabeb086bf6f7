"""Calls and bots: the shared adapter against `Enhancer`, and each framework's own machinery with our part in it."""

import asyncio
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

import percepnet
from percepnet import AudioError, ModelError, PercepNetError
from percepnet.integrations import FrameStream
from test_layers import every_kind, random_model

CLIPS = Path(__file__).parents[1] / "examples/clips"
SECONDS = 4


def clip():
    """A clean and a noisy recording of the same speech, at 48 kHz, 16 bits."""
    path = sorted((CLIPS / "noisy").iterdir())[0]
    pair = [soundfile.read(CLIPS / kind / path.name, dtype="int16")[0] for kind in ("clean", "noisy")]
    assert soundfile.info(path).samplerate == 48000
    return [x[: SECONDS * 48000 // 960 * 960] for x in pair]


def snr_db(x, clean):
    """Level of x where the clean speech is loud, above that where it pauses: a codec keeps levels, and no waveforms."""
    x, clean = np.asarray(x, np.float64), np.asarray(clean, np.float64)
    size = 1 << (len(x) + len(clean)).bit_length()
    lag = int(np.argmax(np.fft.irfft(np.fft.rfft(x, size) * np.conj(np.fft.rfft(clean, size)))))
    x = x[lag if lag < size // 2 else 0 :][: len(clean)]
    count = min(len(x), len(clean)) // 960
    levels = [np.mean(y[: count * 960].reshape(count, 960) ** 2, axis=1) for y in (x, clean)]
    loud, quiet = levels[1] > 0.03 * levels[1].max(), levels[1] < 1e-4 * levels[1].max()
    assert min(loud.sum(), quiet.sum()) >= 5
    noise = np.mean(levels[0][quiet])
    return 10 * np.log10((np.mean(levels[0][loud]) - noise) / noise)


# The adapter.


@pytest.mark.parametrize(("rate_hz", "channels", "samples"), [(48000, 2, 960), (16000, 1, 320), (24000, 1, 1200)])
def test_frames_of_whole_hops_are_those_of_an_enhancer(rate_hz, channels, samples):
    x = clip()[1][: 30 * samples * channels].reshape(-1, samples * channels)
    stream = FrameStream("small")
    y = np.concatenate([stream.process(frame, rate_hz, channels) for frame in x])
    enhancer = percepnet.Enhancer(rate_hz, channels, model="small")
    expected = enhancer.process(np.ascontiguousarray(x.reshape(-1, channels).T))
    np.testing.assert_array_equal(y.reshape(-1, channels).T, expected)
    assert stream.latency_s == enhancer.latency_samples / rate_hz


def test_frames_of_any_length_keep_their_length():
    stream = FrameStream("small")
    for samples in (160, 320, 512, 7, 160, 1):
        assert len(stream.process(np.ones(samples, np.int16), 16000)) == samples


def test_a_change_of_rate_opens_it_anew():
    stream = FrameStream("small")
    assert stream.latency_s == 0
    stream.process(np.zeros(960, np.int16), 48000)
    assert stream.latency_s == pytest.approx(0.03)
    assert len(stream.process(np.zeros(640, np.int16), 16000, 2)) == 640
    assert stream.latency_s > 0.04
    stream.close()
    assert len(stream.process(np.zeros(320, np.int16), 16000)) == 320


def test_disabled_it_is_the_input_as_late_as_ever():
    x = clip()[1][: 960 * 20].reshape(-1, 960)
    stream = FrameStream("small", enabled=False)
    y = np.concatenate([stream.process(frame, 48000) for frame in x])
    np.testing.assert_array_equal(y[1440:], x.ravel()[:-1440])
    stream.enabled = True
    assert np.any(np.concatenate([stream.process(frame, 48000) for frame in x])[1440:] != x.ravel()[:-1440])


def test_the_limit_can_be_set_at_any_time():
    x = clip()[1][: 960 * 20].reshape(-1, 960)
    stream = FrameStream("small")
    stream.attenuation_limit_db = 0.0
    y = np.concatenate([stream.process(frame, 48000) for frame in x])
    enhancer = percepnet.Enhancer(model="small", attenuation_limit_db=0.0)
    np.testing.assert_array_equal(y, enhancer.process(x.ravel()))
    stream.attenuation_limit_db = None
    with pytest.raises(PercepNetError, match="limit"):
        stream.attenuation_limit_db = -1


def test_a_rate_that_cannot_be_passes_through_with_one_warning():
    stream, x = FrameStream("small"), np.arange(40, dtype=np.int16)
    with pytest.warns(RuntimeWarning, match="passes through unchanged: sample rate in Hz is 4000"):
        np.testing.assert_array_equal(stream.process(x, 4000), x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(stream.process(x, 4000), x)


def test_what_is_set_between_two_streams_is_checked_too():
    stream = FrameStream("small")
    for limit_db in ("20", -5):
        with pytest.raises(PercepNetError, match="attenuation limit is"):
            stream.attenuation_limit_db = limit_db
    with pytest.raises(PercepNetError, match="enabled is 'no': give True or False"):
        stream.enabled = "no"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream.process(np.zeros(960, np.int16), 48000)
    assert stream.latency_s > 0


@pytest.mark.parametrize(("samples", "channels"), [(960, 0), (961, 2)])
def test_channels_that_do_not_fit_the_frame(samples, channels):
    with pytest.raises(AudioError, match=f"a frame of {samples} samples is not of {channels} channels"):
        FrameStream("small").process(np.zeros(samples, np.int16), 48000, channels)


def test_another_thread_may_ask_how_probable_speech_is():
    stream, frame, failed = FrameStream("small"), np.zeros(48000, np.int16), []
    assert stream.speech_probability is None
    ends = threading.Event()

    def ask():
        while not ends.is_set():
            try:
                stream.speech_probability  # noqa: B018
            except PercepNetError as error:
                failed.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    for _ in range(5):
        stream.process(frame, 48000)
    ends.set()
    asking.join()
    assert not failed
    assert 0 <= stream.speech_probability <= 1
    stream.close()
    assert stream.speech_probability is None


def test_wrong_settings_are_refused_before_the_call():
    with pytest.raises(ModelError, match="model is a int"):
        FrameStream(5)
    with pytest.raises(PercepNetError):
        FrameStream("small", attenuation_limit_db=-3)
    with pytest.raises(PercepNetError):
        FrameStream("no such model")


# aiortc: a call with Opus between two peers in this process.


def test_an_opus_call_is_as_much_cleaner_as_a_file():
    aiortc = pytest.importorskip("aiortc", reason="needs aiortc: pip install 'percepnet[aiortc]'")
    from fractions import Fraction

    from av import AudioFrame

    from percepnet.integrations.aiortc import EnhancedTrack

    clean, noisy = clip()

    class Source(aiortc.mediastreams.AudioStreamTrack):
        """Plays the clip in real time, and silence after it."""

        position = 0

        async def recv(self):
            beat = await super().recv()  # paced
            del beat
            x = noisy[self.position : self.position + 960]
            x = np.pad(x, (0, 960 - len(x)))
            frame = AudioFrame.from_ndarray(x[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, self.position, Fraction(1, 48000)
            self.position += 960
            return frame

        _timestamp_step = 960

    class Tap(aiortc.MediaStreamTrack):
        """Keeps what goes through."""

        kind = "audio"

        def __init__(self, track):
            super().__init__()
            self.track, self.frames = track, []

        async def recv(self):
            self.frames.append(await self.track.recv())
            return self.frames[-1]

    async def call():
        sender, receiver = aiortc.RTCPeerConnection(), aiortc.RTCPeerConnection()
        arrived = asyncio.get_running_loop().create_future()
        receiver.on("track", arrived.set_result)
        sender.addTrack(Source())
        await sender.setLocalDescription(await sender.createOffer())
        await receiver.setRemoteDescription(sender.localDescription)
        await receiver.setLocalDescription(await receiver.createAnswer())
        await sender.setRemoteDescription(receiver.localDescription)
        tap = Tap(await asyncio.wait_for(arrived, 10))
        track = EnhancedTrack(tap, model="small")
        enhanced = [await asyncio.wait_for(track.recv(), 10) for _ in range(len(noisy) // 960 + 25)]
        stats = [report for report in (await receiver.getStats()).values() if report.type == "inbound-rtp"]
        await sender.close()
        await receiver.close()
        track.stop()
        return tap.frames, enhanced, stats[0]

    raw, enhanced, stats = asyncio.run(call())
    assert stats.packetsLost == 0
    for before, after in zip(raw, enhanced, strict=True):
        assert (after.pts, after.time_base, after.samples) == (before.pts, before.time_base, before.samples)
        assert (after.sample_rate, after.layout.name, after.format.name) == (48000, before.layout.name, "s16")
    sound = [np.concatenate([f.to_ndarray().reshape(-1, 2) for f in frames]).mean(1) for frames in (raw, enhanced)]
    gain_db = snr_db(sound[1], clean) - snr_db(sound[0], clean)
    # the codec has noise of its own, so that the file to compare with has been through it too
    file = through_opus(noisy)
    in_file_db = snr_db(percepnet.enhance(file, 48000, model="small"), clean) - snr_db(file, clean)
    assert in_file_db > 10
    assert gain_db == pytest.approx(in_file_db, abs=1.0)
    print(f"SNR: {gain_db:.1f} dB more at the receiver, {in_file_db:.1f} dB more in a file")


def test_a_track_of_floats_may_change_its_layout():
    pytest.importorskip("aiortc", reason="needs aiortc: pip install 'percepnet[aiortc]'")
    from fractions import Fraction

    from aiortc.mediastreams import AudioStreamTrack
    from av import AudioFrame

    from percepnet.integrations.aiortc import EnhancedTrack

    class Source(AudioStreamTrack):
        forms = iter([("mono", 48000), ("stereo", 48000), ("stereo", 16000), ("mono", 48000)])

        async def recv(self):
            layout, rate_hz = next(self.forms)
            x = np.zeros((1 if layout == "mono" else 2, rate_hz // 50), np.float32)
            frame = AudioFrame.from_ndarray(x, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
            return frame

    async def run():
        track = EnhancedTrack(Source(), model="small")
        return [await track.recv() for _ in range(4)]

    found = [(frame.layout.name, frame.sample_rate, frame.samples) for frame in asyncio.run(run())]
    assert found == [("mono", 48000, 960), ("stereo", 48000, 960), ("stereo", 16000, 320), ("mono", 48000, 960)]


def through_opus(x):
    """A recording encoded and decoded as a call does."""
    from fractions import Fraction

    from aiortc.codecs.opus import OpusDecoder, OpusEncoder
    from aiortc.jitterbuffer import JitterFrame
    from av import AudioFrame

    encoder, decoder, decoded = OpusEncoder(), OpusDecoder(), []
    for start in range(0, len(x) - 959, 960):
        frame = AudioFrame.from_ndarray(x[None, start : start + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        payloads, timestamp = encoder.encode(frame)
        for data in payloads:
            decoded += [f.to_ndarray() for f in decoder.decode(JitterFrame(data=data, timestamp=timestamp))]
    return np.concatenate(decoded, axis=1).reshape(-1, 2).mean(1).astype(np.int16)


# pipecat: a pipeline whose microphone is fed by hand.


def pipecat_run(filter_, rate_hz=16000):
    pytest.importorskip("pipecat", reason="needs pipecat: pip install 'percepnet[pipecat]'")
    from pipecat.frames.frames import InputAudioRawFrame
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.runner import PipelineRunner
    from pipecat.pipeline.task import PipelineParams, PipelineTask
    from pipecat.processors.frame_processor import FrameProcessor
    from pipecat.transports.base_input import BaseInputTransport
    from pipecat.transports.base_transport import TransportParams

    x = np.ascontiguousarray(clip()[1][::3])  # aliased, as noise is
    chunk = rate_hz // 50

    class Microphone(BaseInputTransport):
        async def start(self, frame):
            await super().start(frame)
            await self.set_transport_ready(frame)
            self.feeding = asyncio.create_task(self.feed())

        async def feed(self):
            for start in range(0, len(x), chunk):
                await self.push_audio_frame(InputAudioRawFrame(x[start : start + chunk].tobytes(), rate_hz, 1))
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.3)
            await task.stop_when_done()

    class Recorder(FrameProcessor):
        def __init__(self):
            super().__init__()
            self.heard = []

        async def process_frame(self, frame, direction):
            await super().process_frame(frame, direction)
            if isinstance(frame, InputAudioRawFrame):
                self.heard.append(np.frombuffer(frame.audio, np.int16))
            await self.push_frame(frame, direction)

    async def run():
        nonlocal task
        recorder = Recorder()
        params = TransportParams(audio_in_enabled=True, audio_in_sample_rate=rate_hz, audio_in_filter=filter_)
        task = PipelineTask(
            Pipeline([Microphone(params), recorder]), params=PipelineParams(audio_in_sample_rate=rate_hz)
        )
        await asyncio.wait_for(PipelineRunner(handle_sigint=False).run(task), 60)
        return np.concatenate(recorder.heard)

    task = None
    return x, asyncio.run(run())


def test_a_pipecat_pipeline_hears_what_an_enhancer_gives():
    pytest.importorskip("pipecat", reason="needs pipecat: pip install 'percepnet[pipecat]'")
    from percepnet.integrations.pipecat import PercepNetFilter

    x, y = pipecat_run(PercepNetFilter(model="small"))
    enhancer = percepnet.Enhancer(16000, model="small")
    np.testing.assert_array_equal(y, enhancer.process(x[: len(x) // 320 * 320])[: len(y)])
    assert len(y) == len(x) // 320 * 320


def test_pipecat_switches_and_limits_it():
    pytest.importorskip("pipecat", reason="needs pipecat: pip install 'percepnet[pipecat]'")
    from pipecat.frames.frames import FilterEnableFrame, FilterUpdateSettingsFrame

    from percepnet.integrations.pipecat import PercepNetFilter

    async def run():
        audio_filter = PercepNetFilter(model="small")
        assert await audio_filter.filter(b"\1\0" * 320) == b"\1\0" * 320  # before its start
        await audio_filter.start(16000)
        await audio_filter.process_frame(FilterEnableFrame(False))
        await audio_filter.process_frame(FilterUpdateSettingsFrame({"attenuation_limit_db": 12.0}))
        assert (audio_filter.stream.enabled, audio_filter.stream.attenuation_limit_db) == (False, 12.0)
        assert len(await audio_filter.filter(b"\0" * 640)) == 640
        assert audio_filter.latency_s > 0.04
        await audio_filter.stop()
        await audio_filter.start(48000)
        assert len(await audio_filter.filter(b"\0" * 1920)) == 1920

    asyncio.run(run())


def test_pipecats_vad_says_what_the_network_says():
    pytest.importorskip("pipecat", reason="needs pipecat: pip install 'percepnet[pipecat]'")
    from pipecat.audio.vad.vad_analyzer import VADParams, VADState

    from percepnet.integrations.pipecat import PercepNetFilter

    with pytest.raises(PercepNetError, match="does not say how probable speech is"):
        PercepNetFilter(model=random_model(without_speech())).vad_analyzer()

    async def run(probability):
        model = random_model(every_kind())
        model.weights["speech.weight"][:] = 0
        model.weights["speech.bias"][:] = np.log(probability / (1 - probability))
        audio_filter = PercepNetFilter(model=model)
        vad = audio_filter.vad_analyzer(VADParams(min_volume=0.0))
        vad.set_sample_rate(16000)
        await audio_filter.start(16000)
        for _ in range(30):
            state = await vad.analyze_audio(await audio_filter.filter(b"\0\1" * 320))
        confidence = vad.voice_confidence(b"")
        await vad.cleanup()
        return state, confidence

    state, confidence = asyncio.run(run(0.9))
    assert confidence == pytest.approx(0.9, abs=1e-4)
    assert state == VADState.SPEAKING
    assert asyncio.run(run(0.1))[0] == VADState.QUIET


def without_speech():
    whole = every_kind()
    return type(whole)(whole.layers, {"gains": "gain", "strengths": "strength"})


# livekit: its own audio stream over a local track.


@pytest.mark.parametrize("rate_hz", [48000, 24000])
def test_livekits_stream_is_enhanced_frame_by_frame(rate_hz):
    pytest.importorskip("livekit.rtc", reason="needs livekit: pip install 'percepnet[livekit]'")
    from livekit import rtc

    from percepnet.integrations.livekit import PercepNetProcessor

    x = clip()[1][: 2 * 48000]

    async def run():
        source = rtc.AudioSource(48000, 1)
        track = rtc.LocalAudioTrack.create_audio_track("microphone", source)
        processor = PercepNetProcessor(model="small")
        stream = rtc.AudioStream.from_track(
            track=track, sample_rate=rate_hz, num_channels=1, frame_size_ms=10, noise_cancellation=processor
        )
        seen = []
        inside = processor.stream.process
        processor.stream.process = lambda frame, *form: seen.append(frame.copy()) or inside(frame, *form)

        async def feed():
            for start in range(0, len(x) - 480, 480):
                await source.capture_frame(rtc.AudioFrame(x[start : start + 480].tobytes(), 48000, 1, 480))

        feeding = asyncio.create_task(feed())
        heard = []
        while len(heard) < 150:
            frame = (await asyncio.wait_for(stream.__anext__(), 10)).frame
            assert (frame.sample_rate, frame.samples_per_channel) == (rate_hz, rate_hz // 100)
            heard.append(np.frombuffer(frame.data, np.int16).copy())
        feeding.cancel()
        await stream.aclose()
        return np.concatenate(seen)[: 150 * rate_hz // 100], np.concatenate(heard), processor

    seen, heard, processor = asyncio.run(run())
    enhancer = percepnet.Enhancer(rate_hz, model="small")
    np.testing.assert_array_equal(heard, enhancer.process(seen))
    processor._close()  # as livekit-agents does between tracks
    frame = rtc.AudioFrame(bytes(960), 48000, 1, 480)
    assert processor._process(frame).samples_per_channel == 480
    processor.enabled = False
    assert not processor.enabled
