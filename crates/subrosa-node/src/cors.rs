//! What browsers must be told before they talk to the node (transport §3).

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use tonic::{
    body::Body,
    codegen::{
        Service,
        http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header},
    },
};
use tower::Layer;

const METHODS: HeaderValue = HeaderValue::from_static("POST, OPTIONS");
const REQUEST_HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, accept, authorization, x-grpc-web, x-user-agent, grpc-timeout, user-agent, x-app-version, \
     x-client-version, x-libxmtp-version",
);
const RESPONSE_HEADERS: HeaderValue = HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin");
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");
const ONE_DAY: HeaderValue = HeaderValue::from_static("86400");

/// Answers preflights and opens answers to every origin. The node has no credentials that a page could abuse.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CorsLayer;

impl<S> Layer<S> for CorsLayer {
    type Service = Cors<S>;

    fn layer(&self, inner: S) -> Cors<S> {
        Cors { inner }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Cors<S> {
    inner: S,
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S, B> Service<Request<B>> for Cors<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Answer {
        let is_from_page = request.headers().contains_key(header::ORIGIN);
        if request.method() == Method::OPTIONS {
            return Box::pin(std::future::ready(Ok(preflight())));
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            if is_from_page {
                set(&mut answer, header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
                set(&mut answer, header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
            }
            Ok(answer)
        })
    }
}

fn preflight() -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    set(&mut answer, header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN);
    set(&mut answer, header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    set(&mut answer, header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    set(&mut answer, header::ACCESS_CONTROL_EXPOSE_HEADERS, RESPONSE_HEADERS);
    set(&mut answer, header::ACCESS_CONTROL_MAX_AGE, ONE_DAY);
    answer
}

fn set(answer: &mut Response<Body>, name: HeaderName, value: HeaderValue) {
    answer.headers_mut().insert(name, value);
}
