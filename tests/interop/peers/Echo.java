import jakarta.websocket.CloseReason;
import jakarta.websocket.CloseReason.CloseCodes;
import jakarta.websocket.OnMessage;
import jakarta.websocket.Session;
import jakarta.websocket.server.ServerEndpoint;
import java.io.File;
import java.nio.ByteBuffer;
import java.util.Set;
import org.apache.catalina.servlets.DefaultServlet;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.websocket.server.WsSci;

/** An echo server inside Tomcat, with Tomcat's own limits: Echo PORT FOLDER. */
@ServerEndpoint("/echo")
public class Echo {
    /** Listens. */
    public static void main(String[] arguments) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        tomcat.setPort(Integer.parseInt(arguments[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        var context = tomcat.addContext("", new File(arguments[1]).getAbsolutePath());
        context.addServletContainerInitializer(new WsSci(), Set.of(Echo.class));
        // Without a servlet for a path, nobody asks whether there is an endpoint.
        Tomcat.addServlet(context, "default", new DefaultServlet());
        context.addServletMappingDecoded("/", "default");
        tomcat.start();
        tomcat.getServer().await();
    }

    /** Sends a text back, or closes with the code and the reason that it asks for. */
    @OnMessage
    public void text(String text, Session session) throws Exception {
        if (text.startsWith("close ")) {
            String[] words = text.split(" ", 3);
            int code = Integer.parseInt(words[1]);
            session.close(new CloseReason(CloseCodes.getCloseCode(code), words[2]));
        } else {
            session.getBasicRemote().sendText(text);
        }
    }

    /** Sends a binary message back. */
    @OnMessage
    public void binary(ByteBuffer payload, Session session) throws Exception {
        session.getBasicRemote().sendBinary(payload);
    }
}
