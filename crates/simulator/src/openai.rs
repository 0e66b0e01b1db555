//! OpenAI's API: which endpoint answers which path below `/v1`.

mod audio;
mod batches;
mod chat;
mod chat_stream;
pub(crate) mod embeddings;
mod files;
mod form;
mod images;
pub(crate) mod limit;
mod models;
mod moderations;
pub(crate) mod prompt;
mod responses;
mod responses_stream;
mod shelf;
pub(crate) mod tools;

use http::Method;

use crate::answer::{Answer, Refusal};
use crate::behaviour::Behaviour;
use crate::google;
use crate::question::Question;

pub(crate) use shelf::Shelf;

/// Answers what OpenAI would at this path.
pub(crate) async fn answer(
    shelf: &Shelf,
    question: &Question,
    behaviour: &Behaviour,
) -> Result<Answer, Refusal> {
    let path = question.head.uri.path();
    let Some(path) = path.strip_prefix("/v1/").or_else(|| path.strip_prefix(google::OPENAI)) else {
        return Err(Refusal::unknown_path(question));
    };
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let (get, post, delete) = (
        question.head.method == Method::GET || question.head.method == Method::HEAD,
        question.head.method == Method::POST,
        question.head.method == Method::DELETE,
    );
    match segments[..] {
        ["chat", "completions"] if post => chat::answer(question, behaviour),
        ["responses"] if post => responses::create(shelf, question, behaviour),
        ["responses", id] if get => responses::retrieve(shelf, id),
        ["responses", id] if delete => responses::delete(shelf, id),
        ["responses", id, "input_items"] if get => responses::input_items(shelf, id),
        ["embeddings"] if post => embeddings::answer(question),
        ["models"] if get => Ok(models::list()),
        ["models", id] if get => models::retrieve(id),
        ["moderations"] if post => moderations::answer(question),
        ["images", "generations"] if post => images::generate(question),
        ["images", "edits" | "variations"] if post => images::edit(question).await,
        ["audio", "transcriptions" | "translations"] if post => audio::transcribe(question).await,
        ["audio", "speech"] if post => audio::speak(question),
        ["files"] if post => files::create(shelf, question).await,
        ["files"] if get => Ok(files::list(shelf)),
        ["files", id] if get => files::retrieve(shelf, id),
        ["files", id] if delete => files::delete(shelf, id),
        ["files", id, "content"] if get => files::content(shelf, id),
        ["batches"] if post => batches::create(shelf, question),
        ["batches"] if get => Ok(batches::list(shelf)),
        ["batches", id] if get => batches::retrieve(shelf, id),
        ["batches", id, "cancel"] if post => batches::cancel(shelf, id),
        [
            "chat" | "images" | "audio",
            "completions" | "generations" | "edits" | "variations" | "transcriptions" | "translations"
            | "speech",
        ]
        | ["responses" | "embeddings" | "models" | "moderations" | "files" | "batches", ..] => {
            Err(Refusal::wrong_method(question))
        }
        _ => Err(Refusal::unknown_path(question)),
    }
}
