/** Measures how loud a track is, about twenty times a second, from 0 (silent) to 1 (loud). */
export function meterLevel(track: MediaStreamTrack, onLevel: (level: number) => void): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  const samples = new Float32Array(analyser.fftSize);
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  void context.resume();
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    onLevel(loudness(samples));
  }, INTERVAL_MS);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}

/** Root mean square on a decibel scale, because that is how loudness is heard. */
function loudness(samples: Float32Array): number {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const decibels = 10 * Math.log10(power + Number.EPSILON);
  return Math.min(1, Math.max(0, 1 - decibels / QUIETEST_DB));
}

const INTERVAL_MS = 50;
const QUIETEST_DB = -60;
