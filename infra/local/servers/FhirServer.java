import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.interceptor.api.Hook;
import ca.uhn.fhir.interceptor.api.Pointcut;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binary.svc.NullBinaryStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.rest.api.EncodingEnum;
import ca.uhn.fhir.rest.api.RequestTypeEnum;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.interceptor.RequestValidatingInterceptor;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import jakarta.persistence.EntityManagerFactory;
import jakarta.servlet.DispatcherType;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpFilter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.sql.SQLException;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import javax.sql.DataSource;
import org.eclipse.jetty.ee10.servlet.FilterHolder;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.h2.jdbcx.JdbcConnectionPool;
import org.hibernate.resource.jdbc.spi.StatementInspector;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r4.model.StructureDefinition;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/**
 * A FHIR R4 server of HAPI's parts, under /fhir on the loopback interface: {@code FhirServer.java PORT DATABASE-FILE VALIDATE(0|1)}, and
 * a token in the environment as FHIR_BEARER. Started by {@code infra/local/up fhir}.
 */
public class FhirServer {

  private static final Pattern TYPE_AND_ID = Pattern.compile("(\\w+)\\.RES_TYPE=\\? and \\1\\.FHIR_ID=\\?");

  public static void main(String[] args) throws Exception {
    var beans = new AnnotationConfigApplicationContext();
    beans.registerBean(DataSource.class, () -> database(args[1]), bean -> bean.setDestroyMethodName("dispose"));
    beans.register(Storage.class);
    beans.refresh();

    var fhir = rest(beans);
    fhir.registerInterceptor(new WrittenBeforeAnswered(beans.getBean(DataSource.class)));
    if (args[2].equals("1")) {
      correct(beans.getBean(DefaultProfileValidationSupport.class));
      fhir.registerInterceptor(validation(beans.getBean(IValidationSupport.class)));
    }
    var http = http(Integer.parseInt(args[0]), fhir, System.getenv("FHIR_BEARER"));
    http.start();
    // In this order: what is being answered still needs the database.
    Runtime.getRuntime().addShutdownHook(new Thread(() -> {
      try {
        http.stop();
      } catch (Exception e) {
        e.printStackTrace();
      }
      beans.close();
    }));
  }

  private static JdbcConnectionPool database(String file) {
    var pool = JdbcConnectionPool.create("jdbc:h2:file:" + file + ";DB_CLOSE_ON_EXIT=FALSE", "sa", "");
    pool.setMaxConnections(40);
    return pool;
  }

  /**
   * The question with which HAPI begins every write, in a form that H2 answers by its index on the two columns. As HAPI puts it,
   * {@code a=? and b=? or a=? and b=?}, H2 reads the whole table, and the time of a load grows with its square.
   */
  private static String byIndex(String sql) {
    int where = sql.indexOf(" where (");
    if (where < 0 || !sql.endsWith(")")) return sql;
    var alternatives = List.of(sql.substring(where + " where (".length(), sql.length() - 1).split(" or "));
    var pair = TYPE_AND_ID.matcher(alternatives.get(0));
    if (alternatives.size() < 2 || !pair.matches() || !alternatives.stream().allMatch(alternatives.get(0)::equals)) return sql;
    return sql.substring(0, where) + " where (" + pair.replaceFirst("($1.RES_TYPE,$1.FHIR_ID)")
        + " in (" + String.join(",", Collections.nCopies(alternatives.size(), "(?,?)")) + "))";
  }

  private static RestfulServer rest(AnnotationConfigApplicationContext beans) {
    var fhir = new RestfulServer(beans.getBean(FhirContext.class));
    fhir.registerProviders(beans.getBean("myResourceProvidersR4", ResourceProviderFactory.class).createProviders());
    fhir.registerProvider(beans.getBean("mySystemProviderR4"));
    var pages = beans.getBean(DatabaseBackedPagingProvider.class);
    pages.setDefaultPageSize(20);
    pages.setMaximumPageSize(500);   // by default 50, whatever _count asks for
    fhir.setPagingProvider(pages);
    fhir.setDefaultResponseEncoding(EncodingEnum.JSON);
    fhir.setServerConformanceProvider(new JpaCapabilityStatementProvider(fhir, beans.getBean(IFhirSystemDao.class),
        beans.getBean(JpaStorageSettings.class), beans.getBean(ISearchParamRegistry.class), beans.getBean(IValidationSupport.class)));
    return fhir;
  }

  /**
   * What was answered is in the file, and a SIGKILL leaves it there. H2 writes up to half a second late; its own WRITE_DELAY=0 writes at
   * each commit, so a hundred times for one batch, and never tidies the file up, which grows by gigabytes.
   */
  public static final class WrittenBeforeAnswered {
    private final DataSource database;

    WrittenBeforeAnswered(DataSource database) {
      this.database = database;
    }

    @Hook(Pointcut.SERVER_OUTGOING_RESPONSE)
    public void write(RequestDetails request) throws SQLException {
      if (request.getRequestType() == RequestTypeEnum.GET) return;
      try (var connection = database.getConnection(); var statement = connection.createStatement()) {
        statement.execute("CHECKPOINT");
      }
    }
  }

  /** Refuses the whole request, a bundle too, when anything in it breaks R4 or a profile it declares. */
  private static RequestValidatingInterceptor validation(IValidationSupport profiles) {
    var validation = new RequestValidatingInterceptor();
    validation.addValidatorModule(new FhirInstanceValidator(profiles));
    validation.setFailOnSeverity(ResultSeverityEnum.ERROR);
    return validation;
  }

  /** The same erratum of R4 as in validator/Validate.java: as published, vs-1 refuses every Period that the vital signs allow. */
  private static void correct(DefaultProfileValidationSupport profiles) {
    List<StructureDefinition> all = profiles.fetchAllStructureDefinitions();
    for (var profile : all) {
      for (var elements : List.of(profile.getSnapshot().getElement(), profile.getDifferential().getElement())) {
        elements.stream().flatMap(element -> element.getConstraint().stream()).filter(rule -> rule.getKey().equals("vs-1"))
            .forEach(rule -> rule.setExpression("($this is Period) or ($this as dateTime).toString().length() >= 10"));
      }
    }
  }

  private static Server http(int port, RestfulServer fhir, String token) {
    var handler = new ServletContextHandler();
    handler.addServlet(new ServletHolder(fhir), "/fhir/*");
    if (token != null && !token.isEmpty()) {
      handler.addFilter(new FilterHolder(new Bearer(token)), "/*", EnumSet.of(DispatcherType.REQUEST));
    }
    var server = new Server();
    var connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(port);
    server.addConnector(connector);
    server.setHandler(handler);
    return server;
  }

  /** What a server can do is told to everybody; all else to who has the token. */
  private static final class Bearer extends HttpFilter {
    private static final String SCHEME = "Bearer ";
    private final String token;

    Bearer(String token) {
      this.token = token;
    }

    @Override
    protected void doFilter(HttpServletRequest request, HttpServletResponse response, FilterChain next) throws IOException, ServletException {
      boolean open = request.getMethod().equals("GET") && request.getRequestURI().equals("/fhir/metadata");
      var given = request.getHeader("Authorization");
      if (open || given != null && given.regionMatches(true, 0, SCHEME, 0, SCHEME.length()) && given.substring(SCHEME.length()).equals(token)) {
        next.doFilter(request, response);
        return;
      }
      response.setStatus(HttpServletResponse.SC_UNAUTHORIZED);
      response.setHeader("WWW-Authenticate", "Bearer");
      response.setContentType("application/fhir+json;charset=UTF-8");
      response.getWriter().write("{\"resourceType\":\"OperationOutcome\",\"issue\":[{\"severity\":\"error\",\"code\":\"login\","
          + "\"diagnostics\":\"no valid token, expected Authorization: Bearer and the token\"}]}");
    }
  }

  /** Batch jobs and channels are wanted by the storage itself and idle here; subscriptions are not set up. */
  @Configuration(proxyBeanMethods = false)
  @Import({JpaR4Config.class, HapiJpaConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class, SubscriptionChannelConfig.class,
      ThreadPoolFactoryConfig.class})
  static class Storage {

    @Bean
    JpaStorageSettings storageSettings() {
      var settings = new JpaStorageSettings();
      settings.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY);   // by default an id of digits only is refused
      settings.setEnforceReferentialIntegrityOnWrite(true);
      settings.setAutoCreatePlaceholderReferenceTargets(false);
      settings.setReuseCachedSearchResultsForMillis(null);   // by default a search repeated within a minute does not see what came since
      settings.setHibernateSearchIndexFullText(false);
      settings.setSchedulingDisabled(true);   // clean-up and reindexing, which compete with a load
      return settings;
    }

    @Bean
    SubscriptionSettings subscriptionSettings() {
      return new SubscriptionSettings();
    }

    @Bean
    PartitionSettings partitionSettings() {
      return new PartitionSettings();
    }

    @Bean
    IBinaryStorageSvc binaryStorage() {
      return new NullBinaryStorageSvcImpl();
    }

    @Bean
    LocalContainerEntityManagerFactoryBean entityManagerFactory(
        ConfigurableListableBeanFactory beans, FhirContext context, JpaStorageSettings settings, DataSource database) {
      var factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, context, settings);
      factory.setPersistenceUnitName("fhir");
      factory.setDataSource(database);
      factory.setJpaPropertyMap(Map.<String, Object>of(
          "hibernate.dialect", HapiFhirH2Dialect.class.getName(),
          "hibernate.hbm2ddl.auto", "update",
          "hibernate.jdbc.batch_size", "50",
          "hibernate.order_inserts", "true",
          "hibernate.search.enabled", "false",
          "hibernate.session_factory.statement_inspector", (StatementInspector) FhirServer::byIndex));
      return factory;
    }

    @Bean
    JpaTransactionManager transactionManager(EntityManagerFactory factory) {
      return new JpaTransactionManager(factory);
    }
  }
}
