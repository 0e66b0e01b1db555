//! Which operation a call asks for. It is a value, not a handler, so that whatever holds for one
//! reaches all of them.

use http::Method;

use crate::catalog::Dialect;
use crate::google;

/// An operation of OpenAI's API, of Anthropic's or of Google's, and of whoever speaks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST chat/completions`.
    ChatCompletions,
    /// `POST completions`.
    Completions,
    /// `POST responses`.
    Responses,
    /// `POST embeddings`.
    Embeddings,
    /// `POST moderations`.
    Moderations,
    /// `POST images/generations`.
    ImageGenerations,
    /// `POST images/edits`, usually multipart.
    ImageEdits,
    /// `POST images/variations`, multipart.
    ImageVariations,
    /// `POST audio/speech`, answered in binary.
    Speech,
    /// `POST audio/transcriptions`, multipart.
    Transcriptions,
    /// `POST audio/translations`, multipart.
    Translations,
    /// `POST messages`.
    Messages,
    /// `POST messages/count_tokens`.
    CountTokens,
    /// `POST models/{model}:generateContent`.
    GenerateContent,
    /// `POST models/{model}:streamGenerateContent`.
    StreamGenerateContent,
    /// `POST models/{model}:embedContent`.
    EmbedContent,
    /// `POST models/{model}:batchEmbedContents`, which is answered at once.
    BatchEmbedContents,
    /// `POST models/{model}:countTokens`.
    CountContentTokens,
    /// `POST models/{model}:predict`, which makes pictures.
    Predict,
    /// Anything below `files` or `uploads`.
    Files,
    /// `GET models` and below.
    Models,
    /// Anything below `batches` or `messages/batches`.
    Batches,
    /// Everything else, including other methods on the paths above.
    Other,
}

impl Endpoint {
    /// The operation of a method and a path without its version, as
    /// [`path::operation`](crate::path::operation) gives it.
    pub fn of(method: &Method, operation: &str) -> Self {
        let operation = operation.trim_end_matches('/');
        let post = match operation {
            "chat/completions" => Self::ChatCompletions,
            "completions" => Self::Completions,
            "responses" => Self::Responses,
            "embeddings" => Self::Embeddings,
            "moderations" => Self::Moderations,
            "images/generations" => Self::ImageGenerations,
            "images/edits" => Self::ImageEdits,
            "images/variations" => Self::ImageVariations,
            "audio/speech" => Self::Speech,
            "audio/transcriptions" => Self::Transcriptions,
            "audio/translations" => Self::Translations,
            "messages" => Self::Messages,
            "messages/count_tokens" => Self::CountTokens,
            _ => Self::Other,
        };
        if post != Self::Other {
            return if method == Method::POST { post } else { Self::Other };
        }
        if method == Method::POST
            && let Some(call) = google::Call::of(operation)
        {
            return call.endpoint();
        }
        let mut segments = operation.split('/');
        match (segments.next(), segments.next()) {
            (Some("files" | "uploads"), _) => Self::Files,
            (Some("models"), _) => Self::Models,
            (Some("batches"), _) | (Some("messages"), Some("batches")) => Self::Batches,
            _ => Self::Other,
        }
    }

    /// The word for it in usage records, metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
            Self::ImageGenerations => "image_generations",
            Self::ImageEdits => "image_edits",
            Self::ImageVariations => "image_variations",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::GenerateContent => "generate_content",
            Self::StreamGenerateContent => "stream_generate_content",
            Self::EmbedContent => "embed_content",
            Self::BatchEmbedContents => "batch_embed_contents",
            Self::CountContentTokens => "count_content_tokens",
            Self::Predict => "predict",
            Self::Files => "files",
            Self::Models => "models",
            Self::Batches => "batches",
            Self::Other => "other",
        }
    }

    /// Reads what `as_str` wrote.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|endpoint| endpoint.as_str() == word)
    }

    /// Whether the operation takes a JSON object that we act on. Such a body
    /// must be readable; multipart bodies and others pass as they are.
    pub const fn has_json_body(self) -> bool {
        matches!(
            self,
            Self::ChatCompletions
                | Self::Completions
                | Self::Responses
                | Self::Embeddings
                | Self::Moderations
                | Self::ImageGenerations
                | Self::Speech
                | Self::Messages
                | Self::CountTokens
                | Self::GenerateContent
                | Self::StreamGenerateContent
                | Self::EmbedContent
                | Self::BatchEmbedContents
                | Self::CountContentTokens
                | Self::Predict
        )
    }

    /// Whether the operation runs a model, so that its answer has usage.
    pub const fn runs_a_model(self) -> bool {
        !matches!(
            self,
            Self::CountTokens
                | Self::CountContentTokens
                | Self::Files
                | Self::Models
                | Self::Batches
                | Self::Other
        )
    }

    /// Whether the operation writes text. Every stream of one says when it is complete, so that one
    /// which does not was cut somewhere upstream.
    pub const fn writes_text(self) -> bool {
        matches!(
            self,
            Self::ChatCompletions
                | Self::Completions
                | Self::Responses
                | Self::Messages
                | Self::GenerateContent
                | Self::StreamGenerateContent
        )
    }

    /// Whether the operation costs nothing, whatever it is given.
    pub const fn is_free(self) -> bool {
        matches!(self, Self::CountTokens | Self::CountContentTokens | Self::Files | Self::Models)
    }

    /// Whether a stream that it answers may come as one list, whose elements are the events.
    pub const fn streams_lists(self) -> bool {
        matches!(self, Self::StreamGenerateContent)
    }

    /// The dialect that the operation is a part of; `None` if several have it.
    pub const fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Messages | Self::CountTokens => Some(Dialect::Anthropic),
            Self::GenerateContent
            | Self::StreamGenerateContent
            | Self::EmbedContent
            | Self::BatchEmbedContents
            | Self::CountContentTokens
            | Self::Predict => Some(Dialect::Google),
            Self::Files | Self::Models | Self::Batches | Self::Other => None,
            _ => Some(Dialect::OpenAi),
        }
    }

    const ALL: [Self; 23] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::Embeddings,
        Self::Moderations,
        Self::ImageGenerations,
        Self::ImageEdits,
        Self::ImageVariations,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
        Self::Messages,
        Self::CountTokens,
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::EmbedContent,
        Self::BatchEmbedContents,
        Self::CountContentTokens,
        Self::Predict,
        Self::Files,
        Self::Models,
        Self::Batches,
        Self::Other,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_a_method_and_a_path() {
        let of = |method: &str, path| Endpoint::of(&method.parse().unwrap(), path);
        assert_eq!(of("POST", "chat/completions"), Endpoint::ChatCompletions);
        assert_eq!(of("POST", "chat/completions/"), Endpoint::ChatCompletions);
        assert_eq!(of("GET", "chat/completions"), Endpoint::Other);
        assert_eq!(of("GET", "responses/resp_1"), Endpoint::Other);
        assert_eq!(of("GET", "models/gpt-4o"), Endpoint::Models);
        assert_eq!(of("DELETE", "files/file-1"), Endpoint::Files);
        assert_eq!(of("POST", "batches/b/cancel"), Endpoint::Batches);
        assert_eq!(of("GET", "modelsx"), Endpoint::Other);
        assert_eq!(of("POST", "messages"), Endpoint::Messages);
        assert_eq!(of("POST", "messages/count_tokens"), Endpoint::CountTokens);
        assert_eq!(of("POST", "messages/batches"), Endpoint::Batches);
        assert_eq!(of("GET", "messages/batches/b/results"), Endpoint::Batches);
        assert_eq!(of("GET", "messages"), Endpoint::Other);
        assert_eq!(of("POST", "models/gemini-2.5-flash:generateContent"), Endpoint::GenerateContent);
        assert_eq!(of("POST", "models/gemini-2.5-flash:batchGenerateContent"), Endpoint::Batches);
        assert_eq!(of("GET", "models/gemini-2.5-flash"), Endpoint::Models);
        assert_eq!(of("GET", "models/ft:gpt-4o:org::generateContent"), Endpoint::Models);
    }

    #[test]
    fn every_word_reads_back() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::from_word(endpoint.as_str()), Some(endpoint));
        }
    }
}
