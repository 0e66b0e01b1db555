//! One request and its answer, on a connection that is open.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};

use crate::{EgressError, InvalidAddress, check};

/// How much of an answer's head is read, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;

/// Sends a request and reads the answer, of whose body there may be `most` bytes.
pub(crate) async fn exchange<S>(
    stream: S,
    request: Request<Bytes>,
    most: usize,
) -> Result<Response<Bytes>, EgressError>
where
    S: Read + Write + Unpin + Send + 'static,
{
    let broke_off = |error: hyper::Error| EgressError::BrokeOff(error.into());
    let request = in_origin_form(request)?;
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(LONGEST_HEAD).handshake(stream).await.map_err(broke_off)?;
    // What goes wrong on the connection reaches the request that is under way. It ends with this call,
    // also when the call is given up.
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(async move { drop(connection.await) });
    let (head, body) = sender.send_request(request).await.map_err(broke_off)?.into_parts();
    let body = Limited::new(body, most).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            EgressError::TooLarge(most)
        } else {
            EgressError::BrokeOff(error)
        }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// What stands on the wire: the path alone, and the host in its header.
fn in_origin_form(request: Request<Bytes>) -> Result<Request<Full<Bytes>>, InvalidAddress> {
    let (mut head, body) = request.into_parts();
    let host = check(&head.uri)?.as_str();
    head.headers.insert(HOST, HeaderValue::from_str(host).map_err(|_| InvalidAddress::Host)?);
    // How long the body is, is seen from the body.
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(TRANSFER_ENCODING);
    let path = head.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    Ok(Request::from_parts(head, Full::new(body)))
}
