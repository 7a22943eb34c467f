//! The one place where HTTP clients are made: time-outs, bounded bodies, trust roots, proxies, credentials by reference.
//!
//! Deliberately absent: retries (a request leaves once; only a *read* that was refused with 401 is asked again, when its credential
//! has changed meanwhile), cookies, and redirects to another origin, which would carry credentials where they do not belong.

mod answer;
mod credential;

pub use answer::{Reply, shown_url, words};
pub use credential::{Auth, Secret};

use crate::domain::Failure;
use answer::{classify, read_body, refuse_redirect};
use credential::Credential;
use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest body that is read, in bytes after decompression.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;
/// What we call ourselves to servers.
pub const USER_AGENT: &str = concat!("gonogo/", env!("CARGO_PKG_VERSION"));

/// Makes `ring` the TLS provider of this process, once. Call it before the first client is built.
pub fn install_tls_provider() {
    // The error says that one is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// How a client is set up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Trusted in addition to the system's roots: a PEM file with one or more certificates.
    pub ca_file: Option<PathBuf>,
    /// From sending to the last byte of the answer.
    pub timeout: Duration,
    /// Until there is a connection.
    pub connect_timeout: Duration,
    /// Largest body that is read.
    pub body_limit: usize,
    /// The credential, by reference.
    pub auth: Option<Auth>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ca_file: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            body_limit: BODY_LIMIT,
            auth: None,
        }
    }
}

/// A client that cannot be set up as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The address is none.
    #[error("{url:?} is no http or https address: {why}")]
    Address {
        /// As configured, without credentials.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The CA file cannot be used.
    #[error("ca_file {}: {why}", path.display())]
    CaFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP library refused.
    #[error("cannot set up an http client: {0}")]
    Client(String),
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// What is being done, for messages: `query prom-eu`.
    pub operation: &'a str,
    /// The method.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// Fields of an `application/x-www-form-urlencoded` body.
    pub form: Option<&'a [(&'a str, String)]>,
}

/// One request that changes something. It leaves once.
#[derive(Debug, Clone)]
pub struct WriteRequest<'a> {
    /// What is being done, for messages: `silence in am-eu`.
    pub operation: &'a str,
    /// The method.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// A JSON body.
    pub json: Option<&'a serde_json::Value>,
}

/// A client of one server with one credential.
#[derive(Debug)]
pub struct Http {
    client: reqwest::Client,
    credential: Option<Credential>,
    timeout: Duration,
    body_limit: usize,
}

/// Checks an address from the configuration: http or https, with a host, without credentials in it.
pub fn address(text: &str) -> Result<Url, SetupError> {
    let error = |url: String, why: &str| SetupError::Address { url, why: why.to_owned() };
    let hidden = || text.rsplit('@').next().unwrap_or_default().to_owned();
    let url = Url::parse(text).map_err(|e| error(hidden(), &e.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(error(hidden(), "write http://host or https://host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(error(shown_url(&url), "credentials do not belong into an address: use `auth` with a reference"));
    }
    Ok(url)
}

impl Http {
    /// A client for the server at `base`.
    pub fn new(base: &Url, options: Options) -> Result<Self, SetupError> {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that builds clients")]
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .timeout(options.timeout)
            .connect_timeout(options.connect_timeout)
            .redirect(same_origin_only())
            .retry(reqwest::retry::never())
            .referer(false);
        // Proxies come from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, but never for this machine itself.
        if is_loopback(base) {
            builder = builder.no_proxy();
            // Redirects stay at the origin, so the system's hundred and more roots are not needed here, and need not be read.
            if base.scheme() == "http" {
                builder = builder.tls_certs_only([]);
            }
        }
        if let Some(path) = &options.ca_file {
            builder = builder.tls_certs_merge(read_certificates(path)?);
        }
        let client = builder.build().map_err(|e| SetupError::Client(answer::deepest_cause(&e)))?;
        Ok(Self { client, credential: options.auth.map(Credential::new), timeout: options.timeout, body_limit: options.body_limit })
    }

    /// Sends a request that changes nothing. After a 401 a credential that has changed meanwhile is tried once.
    pub async fn read(&self, request: Request<'_>) -> Result<Reply, Failure> {
        let (reply, used) = self.once(&request).await?;
        let Some(credential) = self.credential.as_ref().filter(|_| reply.status == 401) else { return Ok(reply) };
        if credential.renewed(used.as_ref()).await {
            return Ok(self.once(&request).await?.0);
        }
        Ok(reply)
    }

    /// Sends a request that changes something: once, whatever comes back.
    pub async fn write(&self, request: WriteRequest<'_>) -> Result<Reply, Failure> {
        let mut call = self.client.request(request.method, request.url.clone());
        if let Some(json) = request.json {
            call = call.json(json);
        }
        Ok(self.send(request.operation, &request.url, call).await?.0)
    }

    async fn once(&self, request: &Request<'_>) -> Result<(Reply, Option<HeaderMap>), Failure> {
        let mut call = self.client.request(request.method.clone(), request.url.clone());
        if let Some(form) = request.form {
            call = call.form(form);
        }
        self.send(request.operation, &request.url, call).await
    }

    async fn send(&self, operation: &str, url: &Url, call: reqwest::RequestBuilder) -> Result<(Reply, Option<HeaderMap>), Failure> {
        let target = shown_url(url);
        let mut call = call;
        let mut used = None;
        if let Some(credential) = &self.credential {
            let headers = credential.headers().await.map_err(|why| Failure::NotSent { why: format!("{operation} at {target}: {why}") })?;
            call = call.headers(headers.clone());
            used = Some(headers);
        }
        let response = call.send().await.map_err(|e| classify(operation, &target, self.timeout, &e))?;
        refuse_redirect(operation, &target, &response)?;
        let reply = read_body(operation, &target, self.timeout, self.body_limit, response).await?;
        Ok((reply, used))
    }
}

/// 307 and 308 keep method and body; the others would turn a POST into a GET without its fields.
fn same_origin_only() -> reqwest::redirect::Policy {
    reqwest::redirect::Policy::custom(|attempt| {
        let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        let keeps = matches!(attempt.status().as_u16(), 307 | 308);
        if same && keeps && attempt.previous().len() <= 3 { attempt.follow() } else { attempt.stop() }
    })
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

fn read_certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, SetupError> {
    let error = |why: String| SetupError::CaFile { path: path.to_owned(), why };
    let pem = std::fs::read(path).map_err(|e| error(e.to_string()))?;
    let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| error(answer::deepest_cause(&e)))?;
    if certificates.is_empty() {
        return Err(error("no certificate in PEM form in it".into()));
    }
    Ok(certificates)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
