import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport.IssueSeverity;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain.CacheConfiguration;
import org.hl7.fhir.common.hapi.validation.validator.FhirDefaultPolicyAdvisor;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r4.model.Bundle;
import org.hl7.fhir.r4.model.Resource;
import org.hl7.fhir.r4.model.StructureDefinition;
import org.hl7.fhir.r5.elementmodel.Element;
import org.hl7.fhir.r5.model.ElementDefinition;
import org.hl7.fhir.r5.utils.validation.IMessagingServices;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.utilities.validation.ValidationMessage;

/**
 * Checks FHIR R4 resources, one JSON document per line, against the base specification, the profiles they declare and UCUM. Opens no
 * connection. Called by {@code infra/local/validate}, which says what it prints.
 */
public class Validate {

  private final FhirValidator validator;
  private final boolean showWarnings;
  private final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
  private int resources;
  private int errors;
  private int warnings;

  public static void main(String[] args) throws IOException {
    var own = new ArrayList<Path>();
    var files = new ArrayList<Path>();
    boolean showWarnings = false;
    for (int i = 0; i < args.length; i++) {
      switch (args[i]) {
        case "--resource" -> {
          if (++i == args.length) throw wrongCall("--resource needs a file");
          own.add(readable(args[i]));
        }
        case "--warnings" -> showWarnings = true;
        case "--" -> {
          while (++i < args.length) files.add(readable(args[i]));
        }
        default -> {
          if (args[i].startsWith("--")) throw wrongCall("unknown option " + args[i] + ", expected --resource FILE or --warnings");
          files.add(readable(args[i]));
        }
      }
    }
    var run = new Validate(own, showWarnings);
    if (files.isEmpty()) {
      run.lines("", new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8)));
    }
    for (Path file : files) {
      try (var reader = Files.newBufferedReader(file)) {
        run.lines(file + ":", reader);
      }
    }
    run.out.printf("%d resources, %d errors, %d warnings%n", run.resources, run.errors, run.warnings);
    run.out.flush();
    System.exit(run.errors > 0 ? 1 : 0);
  }

  private Validate(List<Path> own, boolean showWarnings) throws IOException {
    this.showWarnings = showWarnings;
    var context = FhirContext.forR4();
    // LOINC and SNOMED CT cannot be had offline: a code of theirs is a warning, not an error.
    var unknownSystems = new UnknownCodeSystemWarningValidationSupport(context);
    unknownSystems.setNonExistentCodeSystemSeverity(IssueSeverity.WARNING);
    var chain = new ValidationSupportChain(
        CacheConfiguration.defaultValues(),
        profiles(context),
        ownResources(context, own),
        new CommonCodeSystemsTerminologyService(context),
        new InMemoryTerminologyServerValidationSupport(context),
        new SnapshotGeneratingValidationSupport(context),
        unknownSystems);
    var rules = new FhirInstanceValidator(chain);
    rules.setErrorForUnknownProfiles(true);
    rules.setAnyExtensionsAllowed(false);   // what nobody published says nothing to a reader
    rules.setValidatorPolicyAdvisor(new ProfilesByCode());
    validator = context.newValidator().registerValidatorModule(rules);
  }

  /**
   * The profiles of R4 with one erratum: the rule vs-1 is about a dateTime, but as published its expression fails for every Period, which
   * the same profiles allow. HL7's own validator corrects it too; HAPI's chain does not.
   */
  private static DefaultProfileValidationSupport profiles(FhirContext context) {
    var support = new DefaultProfileValidationSupport(context);
    List<StructureDefinition> all = support.fetchAllStructureDefinitions();
    all.stream()
        .flatMap(profile -> Stream.concat(profile.getSnapshot().getElement().stream(), profile.getDifferential().getElement().stream()))
        .flatMap(element -> element.getConstraint().stream())
        .filter(rule -> rule.getKey().equals("vs-1"))
        .forEach(rule -> rule.setExpression("($this is Period) or ($this as dateTime).toString().length() >= 10"));
    return support;
  }

  /** CodeSystems, ValueSets and StructureDefinitions, singly or in Bundles. */
  private static PrePopulatedValidationSupport ownResources(FhirContext context, List<Path> files) throws IOException {
    var support = new PrePopulatedValidationSupport(context);
    for (Path file : files) {
      var parsed = (Resource) context.newJsonParser().parseResource(Files.readString(file));
      if (parsed instanceof Bundle bundle) {
        bundle.getEntry().forEach(entry -> support.addResource(entry.getResource()));
      } else {
        support.addResource(parsed);
      }
    }
    return support;
  }

  /** R4 holds every Observation with a vital sign's LOINC code to its profile, declared or not. HAPI leaves that out unless told so. */
  private static final class ProfilesByCode extends FhirDefaultPolicyAdvisor {
    @Override
    public List<org.hl7.fhir.r5.model.StructureDefinition> getImpliedProfilesForResource(
        IResourceValidator validator, Object context, String path, ElementDefinition definition,
        org.hl7.fhir.r5.model.StructureDefinition structure, Element resource, boolean valid, IMessagingServices messages,
        List<ValidationMessage> found) {
      return getPolicyAdvisor()
          .getImpliedProfilesForResource(validator, context, path, definition, structure, resource, valid, messages, found);
    }
  }

  private void lines(String name, BufferedReader reader) throws IOException {
    String line;
    for (int number = 1; (line = reader.readLine()) != null; number++) {
      if (!line.isBlank()) one(name + number, line);
    }
  }

  private void one(String where, String resource) {
    resources++;
    try {
      validator.validateWithResult(resource).getMessages().forEach(message -> problem(where, message));
    } catch (RuntimeException e) {   // not JSON, or not a resource at all
      report(where, ResultSeverityEnum.FATAL, "", e.getMessage());
    }
  }

  private void problem(String where, SingleValidationMessage message) {
    report(where, message.getSeverity(), message.getLocationString(), message.getMessage());
  }

  private void report(String where, ResultSeverityEnum severity, String location, String message) {
    switch (severity) {
      case ERROR, FATAL -> errors++;
      case WARNING -> warnings++;
      default -> { }
    }
    if (severity.compareTo(showWarnings ? ResultSeverityEnum.WARNING : ResultSeverityEnum.ERROR) >= 0) {
      out.printf("%s\t%s\t%s\t%s%n", where, severity.getCode(), oneLine(location), oneLine(message));
    }
  }

  private static String oneLine(String text) {
    return text == null ? "" : text.replaceAll("\\s+", " ").strip();
  }

  private static Path readable(String name) {
    var path = Path.of(name);
    if (!Files.isReadable(path) || Files.isDirectory(path)) throw wrongCall("cannot read " + name);
    return path;
  }

  private static RuntimeException wrongCall(String reason) {
    System.err.println("validate: " + reason);
    System.exit(2);
    return new IllegalStateException("unreachable");
  }
}
