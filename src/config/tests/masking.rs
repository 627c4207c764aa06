//! Which values of a project must not be seen.

use super::Case;
use crate::mask::Masker;

const FILE: &str = r#"services:
  web:
    image: nginx
    build:
      context: .
      args: [BUILD_TOKEN]
      secrets: [for_build]
    environment:
      - BY_NAME
      - GIVEN=${GIVEN}
      - PUT_TOGETHER=user:${PUT_TOGETHER}
      - DEFAULT=${DEFAULT:-the-default-value}
      - LITERAL=a-literal-value
      - HOME
      - ABSENT
    secrets: [of_file, of_variable, of_directory]
    configs: [settings]
    post_start:
      - command: [echo]
        environment: { HOOK_TOKEN: }
  unused:
    image: nginx
    profiles: [never]
    environment: [UNUSED]
secrets:
  of_file: { file: ./password.txt }
  of_directory: { file: ./tree }
  of_variable: { environment: OF_VARIABLE }
  for_build: { environment: FOR_BUILD }
  nobodys: { file: ./nobodys.txt }
configs:
  settings: { content: "a-config-is-no-secret" }
"#;

#[test]
fn secrets_and_what_is_taken_by_name_are_masked_and_nothing_else_is() {
    let mut case = Case::new(&[
        ("compose.yaml", FILE),
        ("password.txt", "value-of-password\n"),
        ("nobodys.txt", "value-of-nobodys"),
        ("tree/a", "value-of-tree-a"),
        ("tree/b/c", "value-of-tree-c"),
        ("Dockerfile", "FROM nginx"),
        (".env", "OF_VARIABLE=value-of-variable\n"),
    ]);
    let variables = [
        "BY_NAME",
        "GIVEN",
        "PUT_TOGETHER",
        "DEFAULT",
        "HOME",
        "UNUSED",
        "BUILD_TOKEN",
        "FOR_BUILD",
        "HOOK_TOKEN",
    ];
    for name in variables {
        case = case.variable(name, &format!("value-of-{}", name.to_lowercase()));
    }
    // What a file says itself may be what the environment says too.
    case = case.variable("LITERAL", "a-literal-value");
    let loaded = case.load().expect("a good file");
    let (masker, warnings) = Masker::new(&loaded.project.to_mask).expect("few secrets");
    assert_eq!(warnings, Vec::<String>::new());
    let mut values: Vec<&str> = masker.values().collect();
    values.sort_unstable();
    assert_eq!(
        values,
        [
            "value-of-build_token",
            "value-of-by_name",
            "value-of-for_build",
            "value-of-given",
            "value-of-hook_token",
            "value-of-password",
            "value-of-tree-a",
            "value-of-tree-c",
            "value-of-variable",
        ]
    );
    let shown = format!("{:?}", loaded.project.to_mask);
    assert!(!shown.contains("value-of"), "{shown}");
}
