//! The OpenAPI document, made from the calls of the router. `openapi.json` at the top of the
//! repository is a copy; a test compares the two.

use utoipa::OpenApi;
use utoipa::openapi::Server;

use super::base_path::BasePath;
use super::call::Call;
use super::dto;
use super::problem::ProblemBody;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "onetap",
        description = "Reactions that count every tap exactly once. Where the operator has named \
                       keys, callers send a token or a service key as `Authorization: Bearer`. \
                       Where not, onetap believes the user id in every request.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    components(schemas(
        dto::TapAnswer, dto::ToggleBody, dto::Replaced, dto::SummaryAnswer, dto::ReactionAnswer,
        dto::SummariesAnswer, dto::SummariesQuestion, dto::UserIdJson, dto::UserAnswer,
        dto::UsersQuestion, dto::AnyUsersAnswer,
        dto::RulesBody, dto::RulesAnswer, dto::LockAnswer, dto::ReadOnlyAnswer, dto::SetBody,
        dto::SetAnswer, dto::UserSetAnswer, dto::ForgetQuestion, dto::ForgottenAnswer,
        dto::ForgottenPost, dto::ForgottenPosts, dto::ImportBody, dto::ImportPost, dto::ImportRow,
        dto::ImportRules, dto::ImportAnswer, dto::ImportedPost, dto::UsersAnswer,
        dto::PostUserAnswer, dto::PostUsersAnswer, dto::GivenAnswer, dto::GivenReaction,
        dto::HealthAnswer, dto::PalettesAnswer, dto::PaletteAnswer, dto::OfferedAnswer,
        dto::ExclusiveAnswer, dto::JobBody, dto::JobAnswer, dto::JobsAnswer, ProblemBody,
    )),
    tags(
        (name = "taps", description = "Writes. Each is counted exactly once, in one atomic step."),
        (name = "reads", description = "Counts and reactors."),
        (name = "moderation", description = "What may be added to a post, and forgetting. With \
                                             authentication, for service keys with the scope \
                                             `moderate`."),
        (name = "operation", description = "For those who run the service."),
    ),
)]
struct ApiDoc;

/// The document as pretty JSON.
pub(super) fn document(calls: &[Call], base: &BasePath) -> String {
    let mut api = ApiDoc::openapi();
    if !base.is_root() {
        api.servers = Some(vec![Server::new(base.to_string())]);
    }
    for Call { path, methods, operation, .. } in calls {
        api.paths.add_path_operation(path, methods.clone(), operation.clone());
    }
    let mut text = api.to_pretty_json().expect("the document is plain data");
    text.push('\n');
    text
}
