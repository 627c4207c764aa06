// The step `envrun` of the shared library in this directory: runs the suites of a Compose file, publishes their report, keeps the
// output directory, and leaves nothing behind, whatever ends the build. `docs/jenkins.md` is for users.
//
// Parameters, all of them optional:
//   directory  directory of the project, from the workspace: '.'
//   files      list of Compose files, from that directory; without any, `compose.yaml`
//   only       list of suites to run; without any, all of them
//   skip       list of suites to leave out
//   arguments  list of further arguments of `envrun run`, such as ['--untrusted']; after '--', a command for the agent's machine
//   out        directory for reports and logs, from the workspace, without blanks, commas and wildcards: 'envrun-out'
//   binary     the program, by a path or as a name on the PATH of the agent: 'envrun'
//   archive    keep the output directory as artifacts of the build: true
//   unstable   a failed suite makes the build unstable and not failed: false
//
// Gives the exit code of envrun; anything but 0 fails the build (with `unstable`, 1 makes it unstable, and the pipeline goes on).
//
// It is written for the transformation that Jenkins applies to pipelines: no closures that outlive a call, nothing that cannot be
// serialized, and no methods that need approval.

def call(Map given = [:]) {
  def parameters = [
    directory: '.', files: [], only: [], skip: [], arguments: [], out: 'envrun-out', binary: 'envrun', archive: true, unstable: false,
  ]
  for (name in given.keySet()) {
    if (!parameters.containsKey(name)) {
      error("envrun: there is no parameter `${name}`; there are ${parameters.keySet().join(', ')}")
    }
  }
  parameters.putAll(given)
  if (!(parameters.out ==~ /[^\s,*?]+/)) {
    // The steps that publish it would read a list or a pattern.
    error("envrun: `out` is `${parameters.out}`, which has blanks, commas or wildcards")
  }

  // Everything of a run carries this as a label. The build's own tag will not do: branches of `parallel` share it.
  def build = "jenkins-step-${UUID.randomUUID()}"
  def code = null
  try {
    withEnv(["ENVRUN_BUILD=${build}"]) {
      code = sh(label: 'envrun run', returnStatus: true, script: commandLine(parameters))
    }
  } finally {
    // Where the build was aborted, `sh` has thrown what the pipeline is to end with. Nothing here may take its place.
    catchError(buildResult: null, stageResult: null, message: 'envrun: cleaning up') {
      if (code == null || code == 5 || (code > 128 && code != 129 && code != 130 && code != 143)) {
        sh(label: 'envrun gc', script: cleanUp(parameters, build))
      }
    }
    catchError(buildResult: null, stageResult: null, message: 'envrun: publishing the report') {
      junit(testResults: "${parameters.out}/junit.xml", allowEmptyResults: true, skipMarkingBuildUnstable: true)
      if (parameters.archive) {
        archiveArtifacts(artifacts: "${parameters.out}/**", allowEmptyArchive: true)
      }
    }
  }
  if (code == 1 && parameters.unstable) {
    unstable('envrun: a suite failed')
  } else if (code != 0) {
    error("envrun: exit code ${code} (${meaning(code)})")
  }
  return code
}

// The shell's place is taken by envrun, so that there is one process to end.
private String commandLine(Map parameters) {
  def words = [parameters.binary, 'run', asPath(parameters.directory), "--out=${parameters.out}"]
  for (file in parameters.files) {
    words << "--file=${file}"
  }
  for (suite in parameters.only) {
    words << "--only=${suite}"
  }
  for (suite in parameters.skip) {
    words << "--skip=${suite}"
  }
  words.addAll(parameters.arguments)
  return 'exec ' + quoted(words)
}

// An aborted build signals envrun together with its shell, and the pipeline goes on as soon as the shell has ended. A run that still
// tears down is waited for, half a minute at most; `gc` spares what lives.
private String cleanUp(Map parameters, String build) {
  def gc = quoted([parameters.binary, 'gc', "--build=${build}", '--force'])
  return """set +x
for attempt in \$(seq 60); do
  alive=no
  for process in /proc/[0-9]*; do
    if tr '\\0' '\\n' <"\$process/environ" 2>/dev/null | grep -qxF -e 'ENVRUN_BUILD=${build}'; then alive=yes; fi
  done
  [ "\$alive" = yes ] || break
  sleep 0.5
done
${gc}
"""
}

// A path that begins with a hyphen would be taken for an option.
private String asPath(String path) {
  return path.startsWith('-') ? './' + path : path
}

// Words for a POSIX shell.
private String quoted(List words) {
  def result = []
  for (word in words) {
    result << "'" + word.toString().replace("'", "'\\''") + "'"
  }
  return result.join(' ')
}

private String meaning(Integer code) {
  def meanings = [
    1: 'a suite failed, or its report lies or is missing',
    2: 'wrong usage or configuration; nothing was started',
    3: 'the environment did not become ready, or died',
    4: 'the engine could not be reached, or refused',
    5: 'passed, but something was left behind',
    6: 'a report could not be written',
    70: 'a bug of envrun',
  ]
  return meanings[code] ?: 'ended by a signal'
}
