import { useEffect, useRef } from 'preact/hooks';
import type { CallRoom } from '../state/call-room';
import type { Tile } from '../state/tiles';
import { SLOW } from '../state/withheld';
import { Avatar } from './avatar';
import { Icon } from './icon';
import { TrackVideo } from './track-video';
import { useOnScreen } from './use-on-screen';
import { useSize } from './use-size';

interface TileViewProps {
  room: CallRoom;
  tile: Tile;
  large?: boolean;
  onEnlarge: () => void;
}

/** One picture with its name, whether one can hear them, and a ring while they speak. */
export function TileView({ room, tile, large = false, onEnlarge }: TileViewProps) {
  const element = useRef<HTMLElement>(null);
  const { width } = useSize(element);
  const onScreen = useOnScreen(element);
  useView(room, tile, { onScreen, width, large });
  const speaking = tile.source === 'camera' && tile.micOn && isSpeaking(room, tile.userId);
  return (
    <figure
      ref={element}
      class="tile"
      data-testid={`tile-${tile.key}`}
      data-source={tile.source}
      data-self={tile.self}
      data-speaking={speaking}
      data-muted={!tile.micOn}
      aria-label={labelOf(tile)}
    >
      <Picture tile={tile} onStop={() => room.local.stop('screen')} />
      {tile.withheld && <Withheld source={tile.source} />}
      <figcaption>
        {tile.source === 'camera' && !tile.micOn && <Icon name="micOff" />}
        {tile.source === 'screen' && <Icon name="screen" />}
        <span class="tile-name">{captionOf(tile)}</span>
      </figcaption>
      <button
        type="button"
        class="tile-action"
        aria-label={large ? 'Show everyone alike' : `Enlarge ${captionOf(tile)}`}
        title={large ? 'Show everyone alike' : 'Enlarge'}
        data-testid="enlarge"
        onClick={onEnlarge}
      >
        <Icon name={large ? 'shrink' : 'enlarge'} />
      </button>
    </figure>
  );
}

/** Until the first frame is there, and without a camera, the initials stand for the person. */
function Picture({ tile, onStop }: { tile: Tile; onStop: () => void }) {
  if (tile.source === 'screen') {
    if (tile.self) return <OwnScreen onStop={onStop} />;
    return tile.track && <TrackVideo track={tile.track} whole label={captionOf(tile)} />;
  }
  return (
    <>
      <div class="tile-empty">
        <Avatar name={tile.name} size="large" />
      </div>
      {tile.track && <TrackVideo track={tile.track} mirrored={tile.self} label={captionOf(tile)} />}
    </>
  );
}

/** Lies on the last picture that came. It is announced elsewhere, once. */
function Withheld({ source }: { source: Tile['source'] }) {
  return (
    <p class="tile-withheld" data-testid="withheld">
      <Icon name="pause" />
      <span>{`${source === 'screen' ? 'Screen paused' : 'Paused'}: ${SLOW}`}</span>
    </p>
  );
}

/** Showing one's own screen on that same screen would never end. */
function OwnScreen({ onStop }: { onStop: () => void }) {
  return (
    <div class="tile-empty own-screen">
      <p>You are sharing your screen</p>
      <button type="button" class="button" onClick={onStop}>
        Stop sharing
      </button>
    </div>
  );
}

interface Shown {
  onScreen: boolean;
  /** In CSS pixels; 0 as long as it is not known. */
  width: number;
  large: boolean;
}

/** Has the server send the picture as long as this tile shows it, and no more of it than the tile can show. */
function useView(room: CallRoom, tile: Tile, { onScreen, width, large }: Shown): void {
  const viewing = room.media.value?.receiver.viewing;
  const { producerId, track } = tile;
  const spatialLayer = layerFor(tile.source, width);
  useEffect(() => {
    if (!producerId || !track || !onScreen) return;
    return viewing?.view(producerId, { spatialLayer, large });
  }, [viewing, producerId, track, onScreen, spatialLayer, large]);
}

/** The picture size that is of use. Shared screens come whole whatever their tile: text must be readable. */
function layerFor(source: Tile['source'], width: number): number | undefined {
  if (source !== 'camera' || width === 0) return undefined;
  const pixels = width * devicePixelRatio;
  return pixels <= SMALL_PX ? 0 : pixels <= MEDIUM_PX ? 1 : 2;
}

function isSpeaking(room: CallRoom, userId: string): boolean {
  return room.speaking.value.has(userId) || room.activeSpeaker.value === userId;
}

function captionOf({ name, source, self }: Tile): string {
  if (source === 'screen') return self ? 'Your screen' : `${name}’s screen`;
  return self ? `${name} (you)` : name;
}

function labelOf(tile: Tile): string {
  if (tile.source === 'screen') return captionOf(tile);
  const camera = tile.withheld ? 'camera paused' : tile.track ? 'camera on' : 'camera off';
  return `${captionOf(tile)}, ${tile.micOn ? 'microphone on' : 'muted'}, ${camera}`;
}

/** Up to these widths the small and the middle picture of a simulcast camera are enough. */
const SMALL_PX = 240;
const MEDIUM_PX = 640;
