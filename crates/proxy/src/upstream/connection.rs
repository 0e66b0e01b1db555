//! One connection to a provider.

use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::SendRequest;
use prometheus::IntGauge;
use tokio::task::AbortHandle;

use super::UpstreamBody;

/// A connection that carries one request at a time. Dropping it closes the socket at once, whatever
/// is still under way on it.
pub struct Connection {
    sender: SendRequest<UpstreamBody>,
    _driver: Driver,
    _counted: Counted,
}

impl Connection {
    pub(super) fn new(
        sender: SendRequest<UpstreamBody>,
        driver: impl Future<Output = ()> + Send + 'static,
        connections: &IntGauge,
    ) -> Self {
        let driver = tokio::spawn(driver).abort_handle();
        Self { sender, _driver: Driver(driver), _counted: Counted::new(connections) }
    }

    pub(super) async fn send(
        &mut self,
        request: Request<UpstreamBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<UpstreamBody>>> {
        self.sender.try_send_request(request).await
    }

    /// Whether the connection is still open. The provider may have announced its end with the last
    /// answer, which shows only when the connection has come to rest.
    pub(super) async fn is_usable(&mut self) -> bool {
        // It never comes to rest if the provider answered before it had read the request: the next
        // caller does not wait for that.
        const REST: Duration = Duration::from_millis(10);
        self.sender.is_ready()
            || tokio::time::timeout(REST, self.sender.ready()).await.is_ok_and(|ready| ready.is_ok())
    }
}

/// The task that reads and writes the socket.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Counted(IntGauge);

impl Counted {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
