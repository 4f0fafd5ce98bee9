use super::*;
use axum::routing::{get, post};
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};

#[tokio::test(start_paused = true)]
async fn an_idle_connection_half_a_head_and_half_a_body_are_closed_in_time() {
    let server = Server::start(ROOM).await;
    for (sent, seconds) in [
        ("", 10..=12),
        ("GET / HTTP/1.1\r\nHost: x\r\n", 10..=12),
        ("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", 30..=32),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 75..=77),
    ] {
        let start = Instant::now();
        let mut client = server.client().await;
        client.write_all(sent.as_bytes()).await.unwrap();
        client.read_to_end(&mut Vec::new()).await.ok();
        let elapsed = start.elapsed().as_secs();
        assert!(seconds.contains(&elapsed), "{sent:?}: {elapsed} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_gets_no_more_time() {
    let server = Server::start(ROOM).await;
    let (start, mut client) = (Instant::now(), server.client().await);
    for byte in b"GET /a-long-path HTTP/1.1\r\n" {
        tokio::time::sleep(Duration::from_millis(900)).await;
        if client.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    client.read_to_end(&mut Vec::new()).await.ok();
    assert!(start.elapsed() < Duration::from_secs(16), "{:?}", start.elapsed());
    assert_eq!(server.places.counts().open, 0);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_is_not_cut_off_and_keeps_its_connection() {
    let server = Server::start(ROOM).await;
    let mut client = server.client().await;
    for _ in 0..2 {
        client.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let answer = client.answer().await;
        assert!(answer.contains("at last"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_no_answer_is_let_go() {
    let server = Server::start(ROOM).await;
    let mut client = server.client().await;
    client.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    server.until_empty().await;
}

/// In real time, as the kernel has its own clock.
#[tokio::test]
async fn a_client_that_reads_nothing_of_a_trickle_is_let_go() {
    let server = Server::start(ROOM).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = socket.connect(server.address).await.unwrap();
    client.write_all(b"GET /trickle HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    while server.trickled.load(Ordering::Relaxed) == 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.until_empty().await;
    assert!(server.trickled.load(Ordering::Relaxed) < 100, "before any buffer of the server is full");
}

#[tokio::test(start_paused = true)]
async fn a_web_socket_whose_client_reads_nothing_is_let_go() {
    let server = Server::start(ROOM).await;
    let _client = server.upgraded().await;
    let start = Instant::now();
    server.until_empty().await;
    assert!(start.elapsed() >= STALL && start.elapsed() < STALL + Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_web_socket_that_waits_to_write_can_be_closed() {
    let server = Server::start(ROOM).await;
    let mut client = server.upgraded().await;
    let start = Instant::now();
    server.opened.lock().unwrap().take().unwrap().close();
    server.until_empty().await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    client.read_to_end(&mut Vec::new()).await.ok();
}

#[tokio::test(start_paused = true)]
async fn idle_connections_make_room_for_new_ones_and_busy_ones_stay() {
    let server = Server::start(Limits { in_all: 20, per_address: 20 }).await;
    let mut busy = server.client().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(server.client().await);
        let mut client = server.client().await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(client.answer().await.contains("here"));
    }
    assert!(busy.answer().await.contains("at last"));
    let counts = server.places.counts();
    assert!(counts.open <= 20 && counts.evicted > 0, "{counts:?}");
}

#[test]
fn an_address_has_its_share_and_this_machine_has_no_limit() {
    let places = Places::new(Limits { in_all: 100, per_address: 2 });
    let take = |address: &str, step| {
        let pace = Arc::new(Pace::new());
        pace.enter(step);
        places.take(address.parse().unwrap(), Connection::new(), pace)
    };
    let busy: Vec<_> = (0..2).map(|_| take("203.0.113.7", pace::Step::Answer)).collect();
    assert!(busy.iter().all(Option::is_some));
    assert!(take("::ffff:203.0.113.7", pace::Step::Answer).is_none());
    let other = take("203.0.113.8", pace::Step::Answer);
    let local: Vec<_> = (0..50).map(|_| take("127.0.0.1", pace::Step::Answer)).collect();
    assert!(other.is_some() && local.iter().all(Option::is_some));
    drop(busy);
    assert!(take("203.0.113.7", pace::Step::Answer).is_some());
    assert_eq!(places.counts().refused, 1);
}

struct Server {
    address: SocketAddr,
    places: Arc<Places>,
    /// The connection that was upgraded last.
    opened: Arc<Mutex<Option<Connection>>>,
    /// Chunks of `/trickle` that were written.
    trickled: Arc<AtomicUsize>,
    stop: CancellationToken,
}

struct Client(TcpStream);

impl Server {
    async fn start(limits: Limits) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let (address, places, stop) =
            (listener.local_addr().unwrap(), Places::new(limits), CancellationToken::new());
        let slow = || async {
            tokio::time::sleep(SLOW).await;
            "at last"
        };
        let opened = Arc::new(Mutex::new(None));
        let upgrade = {
            let opened = Arc::clone(&opened);
            move |mut request: axum::extract::Request| async move {
                *opened.lock().unwrap() = request.extensions().get::<Connection>().cloned();
                let upgraded = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let mut stream = TokioIo::new(upgraded.await.unwrap());
                    while stream.write_all(&[0; 4096]).await.is_ok() {}
                });
                (axum::http::StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "x")])
            }
        };
        let trickled = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&trickled);
        let trickle = move || async move {
            Body::from_stream(futures_util::stream::unfold(count, |count| async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                count.fetch_add(1, Ordering::Relaxed);
                Some((Ok::<_, io::Error>(vec![0; 2048]), count))
            }))
        };
        let router = Router::new()
            .route("/upgrade", get(upgrade))
            .route("/trickle", get(trickle))
            .route("/", get(|| async { "here" }))
            .route("/slow", get(slow))
            .route("/large", get(|| async { "x".repeat(64 << 20) }))
            .route("/body", post(|body: String| async move { body }));
        tokio::spawn(serve(listener, router, Arc::clone(&places), stop.clone()));
        Self { address, places, opened, trickled, stop }
    }

    /// A client that got more than it reads, over a connection which is no longer HTTP.
    async fn upgraded(&self) -> Client {
        let mut client = self.client().await;
        let request = b"GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        client.read_exact(&mut [0; 12]).await.unwrap();
        client
    }

    async fn until_empty(&self) {
        let empty = async {
            while self.places.counts().open > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(Duration::from_secs(60), empty).await.unwrap();
    }

    async fn client(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Client {
    /// What has come once there is some text of an answer's body.
    async fn answer(&mut self) -> String {
        let mut answer = String::new();
        let mut buffer = [0; 4096];
        while !answer.contains("here") && !answer.contains("at last") {
            let read = self.0.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed after {answer:?}");
            answer.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        answer
    }
}

impl std::ops::Deref for Client {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.0
    }
}

impl std::ops::DerefMut for Client {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.0
    }
}

/// Longer than any limit but that of an answer.
const SLOW: Duration = Duration::from_secs(100);
const ROOM: Limits = Limits { in_all: 100, per_address: 100 };
