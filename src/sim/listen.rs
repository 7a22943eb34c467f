//! Listeners whose connections can be refused and cut.

use super::fault::FaultKind;
use super::switchboard::{Face, Switchboard};
use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The connection that a request came on.
#[derive(Debug, Clone)]
pub(crate) struct Connection(CancellationToken);

impl Connection {
    /// Ends the connection without another byte.
    pub(crate) fn cut(&self) {
        self.0.cancel();
    }
}

/// One listener.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) face: Face,
    pub(crate) router: Router,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) board: Arc<Switchboard>,
    pub(crate) stop: CancellationToken,
}

impl Listener {
    /// Serves until stopped. Connections end with it.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                // As if nothing listened here.
                Ok((stream, _)) if self.board.on(self.face, FaultKind::Lost) => drop(stream),
                Ok((stream, _)) => {
                    connections.spawn(self.clone().converse(stream));
                }
                // Out of files or the like: leave the client waiting and try again.
                Err(cause) => {
                    tracing::warn!(%cause, "the simulator cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn converse(self, stream: TcpStream) {
        let mut cuts = self.board.cuts(self.face);
        let connection = Connection(CancellationToken::new());
        let cut = connection.0.clone();
        let talk = async {
            let _ = stream.set_nodelay(true);
            match &self.tls {
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        speak(stream, self.router.clone(), connection).await;
                    }
                }
                None => speak(stream, self.router.clone(), connection).await,
            }
        };
        tokio::select! {
            () = talk => {}
            () = cut.cancelled() => {}
            _ = cuts.changed() => {}
        }
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, router: Router, connection: Connection) {
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection.clone());
        router.clone().oneshot(request)
    });
    let spoken = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(cause) = spoken {
        tracing::debug!(%cause, "a connection to the simulator ended early");
    }
}
