import { signal } from '@preact/signals';
import { listDevices } from '../call/capture';
import { recall, remember } from './storage';

/** The devices of this browser, and which of them people picked. */

export type DeviceKind = MediaDeviceKind;

/** Ids of the devices people picked, kept in this browser. */
export const chosenDevices = signal<Partial<Record<DeviceKind, string>>>(
  recall(localStorage, 'devices') ?? {},
);

/** Everything that could be picked; undefined until the browser was asked, empty without permission. */
export const devices = signal<MediaDeviceInfo[] | undefined>(undefined);

export function rememberChoice(kind: DeviceKind, deviceId: string): void {
  chosenDevices.value = { ...chosenDevices.peek(), [kind]: deviceId };
  remember(localStorage, 'devices', chosenDevices.peek());
}

export async function refreshDevices(): Promise<void> {
  devices.value = await listDevices();
}

navigator.mediaDevices?.addEventListener('devicechange', () => void refreshDevices());
