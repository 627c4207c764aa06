// What a pipeline finds in Jenkins, as far as the files of `ci/jenkins` use it, and really done: `sh` runs a shell with the cookies
// of the build in its environment, `junit` reads the reports, and an abort sends SIGTERM to all processes that carry the cookie of
// the server, children before parents, as `hudson.util.ProcessTree` and the durable-task plugin do. It is no Jenkins: pipelines are
// not transformed (CPS), not sandboxed, and the declarative syntax is known as far as it is used.
//
// Arguments: the pipeline, the directory `vars` of the library, the workspace. An abort is asked for by a file `abort` in the workspace.
import java.util.concurrent.TimeUnit
import org.codehaus.groovy.control.CompilerConfiguration
import org.codehaus.groovy.control.customizers.ImportCustomizer

// How long a step may go on after an abort.
class Times { static final int GRACE_SECONDS = 20 }

// What ends the pipeline when the build is aborted, and when a step fails it.
class Interrupted extends RuntimeException { Interrupted() { super('aborted') } }
class Failed extends RuntimeException { Failed(String message) { super(message) } }

@interface Library { String value() }

class Build {
  static File workspace
  static File library
  static GroovyShell shell
  static String result = 'SUCCESS'
  static volatile boolean aborted = false
  static final String cookie = 'server-' + UUID.randomUUID()
  static final String nodeCookie = 'node-' + UUID.randomUUID()
  static Map<String, String> variables = [:]

  static void worsen(String to) {
    def order = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'ABORTED']
    if (order.indexOf(to) > order.indexOf(result)) { result = to }
  }

  static void say(String text) { println(text); System.out.flush() }

  // The processes that carry a variable, as far as they may be looked at.
  static List<Integer> carrying(String variable) {
    def found = []
    new File('/proc').list().findAll { it.isInteger() }.each { id ->
      try {
        def all = new File("/proc/${id}/environ").getText('UTF-8').split('\0')
        if (all.contains(variable)) { found << (id as Integer) }
      } catch (IOException gone) { }
    }
    return found
  }

  static Integer parent(Integer id) {
    try {
      def stat = new File("/proc/${id}/stat").text
      return stat.substring(stat.lastIndexOf(') ') + 2).split(' ')[1] as Integer
    } catch (IOException gone) { return 0 }
  }

  // Children first: what has more ancestors among the processes comes earlier.
  static void kill(String variable) {
    def all = carrying(variable)
    def depth = { Integer id -> def up = 0; def at = parent(id); while (all.contains(at)) { up++; at = parent(at) }; up }
    all.sort { -depth(it) }.each { ['kill', '-TERM', it.toString()].execute().waitFor() }
  }
}

abstract class Steps extends Script {
  // A step of the library, by the name of its file.
  def invokeMethod(String name, Object given) {
    def file = new File(Build.library, name + '.groovy')
    if (!file.exists()) { return super.invokeMethod(name, given) }
    def script = Build.shell.parse(file)
    return script.invokeMethod('call', given)
  }

  def sh(Object given) {
    def parameters = given instanceof Map ? given : [script: given.toString()]
    if (parameters.label) { Build.say("[${parameters.label}]") }
    def file = File.createTempFile('script', '.sh')
    file.text = parameters.script.toString()
    def builder = new ProcessBuilder('sh', '-xe', file.path).directory(Build.workspace).redirectErrorStream(true)
    builder.environment().putAll(Build.variables)
    builder.environment().putAll(
      JENKINS_SERVER_COOKIE: Build.cookie, JENKINS_NODE_COOKIE: Build.nodeCookie, BUILD_ID: '17', BUILD_NUMBER: '17',
      BUILD_TAG: 'jenkins-shop-17', JENKINS_URL: 'https://jenkins.example/', WORKSPACE: Build.workspace.path)
    def wasAborted = Build.aborted
    def process = builder.start()
    process.outputStream.close()
    def output = Thread.start { process.inputStream.eachLine('UTF-8') { Build.say(it) } }
    while (!process.waitFor(50, TimeUnit.MILLISECONDS)) {
      // Steps after the abort run as ever.
      if (Build.aborted && !wasAborted) {
        process.waitFor(Times.GRACE_SECONDS, TimeUnit.SECONDS)
        break
      }
    }
    file.delete()
    if (Build.aborted && !wasAborted) { throw new Interrupted() }
    output.join()
    def code = process.exitValue()
    if (parameters.returnStatus) { return code }
    if (code != 0) { throw new Failed("script returned exit code ${code}") }
    return null
  }

  def withEnv(List<String> given, Closure body) {
    def before = new LinkedHashMap(Build.variables)
    given.each { def (name, value) = it.split('=', 2); Build.variables[name] = value }
    try { return body() } finally { Build.variables = before }
  }

  def error(Object message) { throw new Failed(message.toString()) }

  def unstable(Object message) { Build.say("unstable: ${message}"); Build.worsen('UNSTABLE') }

  def echo(Object message) { Build.say(message.toString()) }

  def catchError(Map given, Closure body) {
    try { body() } catch (RuntimeException caught) {
      Build.say("caught: ${given.message}: ${caught.message}")
      def result = given.containsKey('buildResult') ? given.buildResult : 'FAILURE'
      if (result != null) { Build.worsen(result) }
    }
  }

  def junit(Map given) {
    def file = new File(Build.workspace, given.testResults.toString())
    if (!file.exists()) {
      if (!given.allowEmptyResults) { throw new Failed('no test report files were found') }
      Build.say("junit: no ${given.testResults}")
      return
    }
    def cases = new XmlSlurper(false, false).parse(file).depthFirst().findAll { it.name() == 'testcase' }
    def failing = cases.findAll { it.failure.size() + it.error.size() > 0 }
    Build.say("junit: ${given.testResults}: ${cases.size()} cases, ${failing.size()} failing")
    if (failing && !given.skipMarkingBuildUnstable) { Build.worsen('UNSTABLE') }
  }

  def archiveArtifacts(Map given) {
    def directory = new File(Build.workspace, given.artifacts.toString() - '/**')
    def names = []
    if (directory.isDirectory()) { directory.eachFileRecurse { names << it.path } }
    if (!names && !given.allowEmptyArchive) { throw new Failed('no artifacts found') }
    Build.say("archived: ${names.size()} of ${given.artifacts}")
  }

  // The declarative syntax, section by section. What is not named here is an error.
  def pipeline(Closure body) {
    def post = null
    def closures = { Closure section, Map<String, Closure> known ->
      def delegate = new Object() {
        def invokeMethod(String name, Object given) {
          if (!known.containsKey(name)) { throw new MissingMethodException(name, Object, given as Object[]) }
          return known[name].call(*(given as List))
        }
      }
      section.delegate = delegate
      section.resolveStrategy = Closure.DELEGATE_FIRST
      section.call()
    }
    def nothing = { Object... given -> null }
    def owner = this
    def steps = { Closure section -> section.delegate = owner; section.call() }
    def stage = { String name, Closure section ->
      Build.say("stage: ${name}")
      closures(section, [steps: steps])
    }
    def always = null
    def failure = null
    def run = { Closure section ->
      try { closures(section, [stage: stage]) } catch (Failed caught) { failure = caught; Build.worsen('FAILURE') }
      catch (Interrupted caught) { failure = caught; Build.worsen('ABORTED') }
    }
    closures(body, [
      agent: { Closure section -> closures(section, [label: nothing]) },
      options: { Closure section -> closures(section, [timeout: nothing, disableConcurrentBuilds: nothing]) },
      stages: run,
      post: { Closure section -> closures(section, [always: { Closure given -> always = given }]) },
    ])
    if (always) { always.delegate = owner; always.call() }
    if (failure) { Build.say("ended by: ${failure.message}") }
  }
}

def configuration = new CompilerConfiguration(scriptBaseClass: 'Steps')
configuration.addCompilationCustomizers(new ImportCustomizer().addImports('Library'))
Build.workspace = new File(args[2])
Build.library = new File(args[1])
Build.shell = new GroovyShell(this.class.classLoader, new Binding(), configuration)
Thread.startDaemon {
  while (!new File(Build.workspace, 'abort').exists()) { sleep(20) }
  Build.aborted = true
  Build.kill("JENKINS_SERVER_COOKIE=${Build.cookie}")
}
try {
  Build.shell.parse(new File(args[0])).run()
} catch (Failed caught) {
  Build.worsen('FAILURE')
  Build.say("ended by: ${caught.message}")
} catch (Interrupted caught) {
  Build.worsen('ABORTED')
  Build.say("ended by: ${caught.message}")
} finally {
  // The end of `node`.
  Build.kill("JENKINS_NODE_COOKIE=${Build.nodeCookie}")
}
Build.say("result: ${Build.result}")
