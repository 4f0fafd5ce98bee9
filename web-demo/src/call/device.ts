import { Device } from 'mediasoup-client';
import { rtpCapabilities } from '../api/rest';

let loading: Promise<Device> | undefined;

/** This browser matched against what the server can route. Loaded once, before the first join. */
export function loadDevice(): Promise<Device> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<Device> {
  const [device, routerRtpCapabilities] = await Promise.all([Device.factory(), rtpCapabilities()]);
  await device.load({ routerRtpCapabilities });
  return device;
}
